"""The models of tutti-bench train in PyTorch; a call gives the loss."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        b, t, width = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.c_attn(x).split(width, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.ln_2, self.mlp = nn.LayerNorm(width), Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    def __init__(self, a):
        super().__init__()
        parts = {
            "wte": nn.Embedding(a.vocabulary, a.width),
            "wpe": nn.Embedding(a.context, a.width),
            "h": nn.ModuleList(Block(a.width, a.heads) for _ in range(a.layers)),
            "ln_f": nn.LayerNorm(a.width),
        }
        self.transformer = nn.ModuleDict(parts)
        self.lm_head = nn.Linear(a.width, a.vocabulary, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        for name, x in self.named_parameters():
            if x.dim() == 2:
                nn.init.normal_(x, std=0.02 / (2 * a.layers) ** 0.5 if name.endswith("c_proj.weight") else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(x)

    def forward(self, tokens, targets):
        x = self.transformer.wte(tokens) + self.transformer.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Images(nn.Module):
    """Of images to ten classes. Parts are named by their place, as in tutti::nn::Sequential."""

    def __init__(self, *parts):
        super().__init__()
        for i, part in enumerate(parts):
            self.add_module(str(i), part)

    def forward(self, x, targets):
        for part in self.children():
            x = part(x)
        return F.cross_entropy(x, targets)


def mlp():
    return Images(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def cnn():
    return Images(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def lenet():
    return Images(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """A block of He et al., 2015; where it halves the image, every second pixel and channels of zeros go past it."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        stride, added = self.conv1.stride[0], y.shape[1] - x.shape[1]
        past = x if stride == 1 else F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, added // 2, added // 2))
        return F.relu(y + past)


def resnet20():
    blocks = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    return Images(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        *(Residual(*sizes) for sizes in blocks), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def make(a):
    return Gpt(a) if a.model == "gpt" else {"mlp": mlp, "cnn": cnn, "lenet": lenet, "resnet20": resnet20}[a.model]()
