"""GPT-2 of Hugging Face's transformers: "state/<name in its state dict>", "tokens" and "logits"; and three steps of SGD from
there: "losses" and "trained/<name>"."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def golden():
    torch.manual_seed(3)
    config = GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).eval()
    for x in model.parameters():
        torch.nn.init.normal_(x, std=0.3)
    tokens = torch.randint(11, (2, 8))
    state = {f"state/{name}": x.clone() for name, x in model.state_dict().items()}
    logits = model(tokens).logits
    # In evaluation mode still, so without dropout.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(3):
        loss = model(tokens, labels=tokens).loss  # of each token, given those before it
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    trained = {f"trained/{name}": x for name, x in model.state_dict().items()}
    return state | trained | {"tokens": tokens, "logits": logits, "losses": torch.stack(losses)}
