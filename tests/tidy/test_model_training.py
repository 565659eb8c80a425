"""The network that training uses, against Hugging Face's Qwen2; skipped where torch is not installed."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def huggingface_copy(model):
    """Transformers' Qwen2 with the same weights."""
    shape = model.shape
    twin = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.ffn,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.context,
            rms_norm_eps=shape.epsilon,
            rope_theta=shape.rope_theta,
            tie_word_embeddings=True,
        )
    ).eval()
    parts = {
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    state = {}
    for name, value in model.tensors().items():
        if name.startswith("blk."):
            _, layer, part, kind = name.split(".")
            state[f"model.layers.{layer}.{parts[part]}.{kind}"] = value
        else:
            state[
                {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]
            ] = value
    missing, unexpected = twin.load_state_dict(state, strict=False)
    assert missing in ([], ["lm_head.weight"]) and unexpected == []
    twin.tie_weights()
    return twin


def test_logits_are_those_of_transformers_qwen2_for_random_weights_norms_and_biases():
    from model import Qwen2, Shape

    torch.manual_seed(1)
    model = Qwen2(Shape(layers=2)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.15 if parameter.dim() == 2 else 0.5) + ("norm" in name))
        tokens = torch.randint(0, model.shape.vocabulary, (3, 40))
        ours, theirs = model(tokens), huggingface_copy(model)(tokens).logits
    assert theirs.std() > 1
    assert (ours - theirs).abs().max() < 1e-3 * theirs.std()


def test_loss_counts_the_answer_and_the_end_and_nothing_of_the_prompt():
    import random

    import data
    import encoding
    import vocabulary

    tokens, merges = vocabulary.train(item.prompt for item in data.training(1, 500))
    encoder = encoding.Encoder(tokens, merges)
    item = data.Example("date", "5 Mar 2024", "2024-03-05")
    ((batch, targets),) = encoding.batches(encoder, [item], 4, random.Random(0))
    prompt = encoder.prompts([item.prompt])[0]
    assert batch[0].tolist() == prompt + encoder.answer(item.answer)[:-1]
    assert targets[0].tolist() == [-100] * (len(prompt) - 1) + encoder.answer(item.answer)


def test_an_exported_file_gives_the_numpy_engine_the_logits_of_torch(tmp_path):
    """With the weights that Q8_0 leaves, all but the same; with the weights before, within what Q8_0 costs."""
    import data
    import evaluate
    import export
    import numpy
    import vocabulary
    from model import Qwen2, Shape

    from plpython.model import encodings

    torch.manual_seed(2)
    model = Qwen2(Shape(layers=2)).eval()
    tokens, merges = vocabulary.train(item.prompt for item in data.training(1, 500))
    facts = {"steps": 0, "seen": 0, "seed": 0, "tokens": tokens, "merges": merges, "shape": vars(model.shape)}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.12 if parameter.dim() == 2 else 0.3) + ("norm" in name))
        torch.save({"state": model.state_dict(), **facts}, tmp_path / "model.pt")
        export.write(tmp_path / "model.pt", tmp_path / "model.gguf")
        cleaner = evaluate.Cleaner(tmp_path / "model.gguf")
        ids = cleaner.tokenizer.encode("quantity: 12.5 kg")
        said = cleaner.engine.forward(ids, cleaner.engine.new_cache(), last_only=False)
        before = model(torch.tensor([ids]))[0].numpy()
        for parameter in model.parameters():
            if parameter.dim() == 2:
                blocks = encodings.encode("Q8_0", numpy.ascontiguousarray(parameter.numpy()))
                parameter.copy_(torch.from_numpy(encodings.decode("Q8_0", blocks.reshape(-1), tuple(parameter.shape))))
        after = model(torch.tensor([ids]))[0].numpy()
    assert abs(said - after).max() < 1e-4 * after.std()
    assert 1e-3 * before.std() < abs(said - before).max() < 0.2 * before.std()
