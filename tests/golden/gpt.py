"""A training run of a small GPT: nanoGPT's model and recipe (https://github.com/karpathy/nanoGPT).

Names: "model/<name in the state dict>" before the first step, "tokens" [50, batch, context + 1], "losses" [50]
and "norms" [50] of the gradients before clipping.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, HEADS, WIDTH, CONTEXT = 2, 2, 32, 16
BATCH, STEPS = 8, 50
TEXT = """shall i compare thee to a summer's day? thou art more lovely and more temperate: rough winds do shake
the darling buds of may, and summer's lease hath all too short a date; sometime too hot the eye of heaven shines,
and often is his gold complexion dimm'd; and every fair from fair sometime declines."""
VOCABULARY = sorted(set(TEXT))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH)
        self.c_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (y.view(b, t, HEADS, -1).transpose(1, 2) for y in self.c_attn(x).split(WIDTH, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(b, t, WIDTH))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH)
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate=GELU))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.attn = Attention()
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = Mlp()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


# nanoGPT has the exact one since 2023; GPT-2's weights were trained with "tanh".
GELU = "tanh"


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(len(VOCABULARY), WIDTH),
                "wpe": nn.Embedding(CONTEXT, WIDTH),
                "h": nn.ModuleList(Block() for _ in range(LAYERS)),
                "ln_f": nn.LayerNorm(WIDTH),
            }
        )
        self.lm_head = nn.Linear(WIDTH, len(VOCABULARY), bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        for x in self.parameters():
            if x.dim() == 2:
                # Not nanoGPT's 0.02: so narrow a model would learn the frequencies of the letters and no more.
                nn.init.normal_(x, std=0.15)

    def forward(self, tokens):
        x = self.transformer.wte(tokens) + self.transformer.wpe.weight[: tokens.shape[1]]
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x))


def golden():
    torch.manual_seed(1)
    model = Gpt()
    tensors = {f"model/{name}": x.clone() for name, x in model.state_dict().items()}
    text = torch.tensor([VOCABULARY.index(c) for c in TEXT])
    starts = torch.randint(len(text) - CONTEXT, (STEPS, BATCH))
    tokens = torch.stack([torch.stack([text[s : s + CONTEXT + 1] for s in row]) for row in starts])
    matrices = [x for x in model.parameters() if x.dim() >= 2]
    vectors = [x for x in model.parameters() if x.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0}], lr=1e-2, betas=(0.9, 0.99)
    )
    losses, norms = [], []
    for batch in tokens:
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        losses.append(loss.detach())
    return tensors | {"tokens": tokens, "losses": torch.stack(losses), "norms": torch.stack(norms)}
