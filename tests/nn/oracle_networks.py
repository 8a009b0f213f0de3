"""The formulas of lmkit/architectures a second time: numpy in float64, one position after another, no torch."""

import math

import numpy as np

GATES = {"elman": 1, "lstm": 4, "gru": 3, "mingru": 2}


def logistic(a):
    return 1 / (1 + np.exp(-a))


def softmax(a):
    powers = np.exp(a - a.max())
    return powers / powers.sum()


def logits(settings, tensors, ids, start=2):
    """Logits after each of the ids, (T, V)."""
    tensors = {name: np.asarray(tensor, dtype=np.float64) for name, tensor in tensors.items()}
    return {"ffn": feedforward, "rnn": recurrent, "transformer": transformer}[settings.kind](
        settings, tensors, list(ids), start
    )


def feedforward(settings, tensors, ids, start):
    rows = []
    for place in range(len(ids)):
        seen = ([start] * settings.context + ids[: place + 1])[-settings.context :]
        x = np.concatenate([tensors["embed_tokens.weight"][token] for token in seen])
        inner = np.tanh(tensors["hidden.bias"] + tensors["hidden.weight"] @ x)
        y = tensors["lm_head.bias"] + tensors["lm_head.weight"] @ inner
        rows.append(y + tensors["direct.weight"] @ x if settings.direct else y)
    return np.array(rows)


def recurrent(settings, tensors, ids, _start):
    width = settings.width
    before = [(np.zeros(width), np.zeros(width)) for _ in range(settings.layers)]
    head = tensors["embed_tokens.weight"] if settings.tied else tensors["lm_head.weight"]
    rows = []
    for token in ids:
        x = tensors["embed_tokens.weight"][token]
        for layer in range(settings.layers):
            own = {name.split(".")[-1]: t for name, t in tensors.items() if name.startswith(f"layers.{layer}.")}
            before[layer] = cell(settings.cell, own, x, *before[layer])
            x = before[layer][0]
        rows.append(head @ x + (tensors["lm_head.bias"] if settings.bias else 0.0))
    return np.array(rows)


def cell(name, own, x, h, c):
    """The output and the memory of one cell."""
    width, gates = len(x), GATES[name]
    a = (own["weight_ih"] @ x + own.get("bias_ih", np.zeros(gates * width))).reshape(gates, width)
    if name == "mingru":
        z = logistic(a[0])
        candidate = np.where(a[1] >= 0, a[1] + 0.5, logistic(a[1]))
        return (1 - z) * h + z * candidate, c
    b = (own["weight_hh"] @ h + own.get("bias_hh", np.zeros(gates * width))).reshape(gates, width)
    if name == "elman":
        return np.tanh(a[0] + b[0]), c
    if name == "gru":
        r, z = logistic(a[0] + b[0]), logistic(a[1] + b[1])
        return (1 - z) * np.tanh(a[2] + r * b[2]) + z * h, c
    i, f, g, o = logistic(a[0] + b[0]), logistic(a[1] + b[1]), np.tanh(a[2] + b[2]), logistic(a[3] + b[3])
    c = f * c + i * g
    return o * np.tanh(c), c


def transformer(settings, tensors, ids, _start):
    x = [tensors["embed_tokens.weight"][token].copy() for token in ids]
    for place in range(len(ids)):
        if settings.positions == "learned":
            x[place] += tensors["embed_positions.weight"][place]
        if settings.positions == "sinusoidal":
            x[place] += [wave(place, k, settings.width) for k in range(settings.width)]
    for layer in range(settings.layers):
        begin = f"layers.{layer}."
        own = {name.removeprefix(begin): t for name, t in tensors.items() if name.startswith(begin)}
        x = block(settings, own, x)
    if settings.norm == "pre":
        x = [norm(settings, tensors, "norm", one) for one in x]
    head = tensors["embed_tokens.weight"] if settings.tied else tensors["lm_head.weight"]
    return np.array([head @ one for one in x])


def wave(place, k, width):
    angle = place / 10000 ** (2 * (k // 2) / width)
    return math.cos(angle) if k % 2 else math.sin(angle)


def block(settings, own, x):
    first, second = "input_layernorm", "post_attention_layernorm"

    def attended(several):
        return attention(settings, own, several)

    def fed(several):
        return [feed(settings, own, one) for one in several]

    for name, branch in ((first, attended), (second, fed)):
        normed = [norm(settings, own, name, one) for one in x] if settings.norm == "pre" else x
        out = branch(normed)
        if settings.norm == "course":
            out = [norm(settings, own, name, one) for one in out]
        joined = [a + b for a, b in zip(x, out, strict=True)] if settings.residual else out
        x = [norm(settings, own, name, one) for one in joined] if settings.norm == "post" else joined
    return x


def norm(settings, own, name, x):
    gain = own[f"{name}.weight"]
    if settings.normalisation == "rmsnorm":
        return rms(x, gain, settings.norm_epsilon)
    return gain * (x - x.mean()) / np.sqrt(x.var() + settings.norm_epsilon) + own[f"{name}.bias"]


def rms(x, gain, epsilon):
    return gain * x / np.sqrt((x * x).mean() + epsilon)


def linear(own, name, x):
    return own[f"{name}.weight"] @ x + own.get(f"{name}.bias", 0.0)


def attention(settings, own, x):
    width, group = settings.head_width, settings.heads // settings.kv_heads
    queries, keys, values = ([], [], [])
    for place, one in enumerate(x):
        q, k, v = (linear(own, f"self_attn.{name}_proj", one).reshape(-1, width) for name in "qkv")
        if settings.query_key_norm:
            q = np.array([rms(head, own["self_attn.q_norm.weight"], settings.norm_epsilon) for head in q])
            k = np.array([rms(head, own["self_attn.k_norm.weight"], settings.norm_epsilon) for head in k])
        if settings.positions == "rope":
            q, k = (np.array([turn(settings, head, place) for head in heads]) for heads in (q, k))
        queries.append(q)
        keys.append(k)
        values.append(v)
    out = []
    for i in range(len(x)):
        heads = []
        for head in range(settings.heads):
            scores = [queries[i][head] @ keys[j][head // group] / math.sqrt(width) for j in range(i + 1)]
            weights = softmax(np.array(scores))
            heads.append(sum(weights[j] * values[j][head // group] for j in range(i + 1)))
        out.append(linear(own, "self_attn.o_proj", np.concatenate(heads)))
    return out


def turn(settings, head, place):
    turned, half = head.copy(), settings.head_width // 2
    for i in range(half):
        angle = place * settings.rope_theta ** (-2 * i / settings.head_width)
        a, b = head[i], head[i + half]
        turned[i], turned[i + half] = (
            a * math.cos(angle) - b * math.sin(angle),
            b * math.cos(angle) + a * math.sin(angle),
        )
    return turned


def feed(settings, own, x):
    up = linear(own, "mlp.up_proj", x)
    if settings.activation == "swiglu":
        gate = linear(own, "mlp.gate_proj", x)
        inner = gate * logistic(gate) * up
    elif settings.activation == "gelu":
        inner = up / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
    else:
        inner = np.maximum(up, 0) ** (2 if settings.activation == "relu2" else 1)
    return linear(own, "mlp.down_proj", inner)
