"""Keys of config.json and generation_config.json that all families share: those of transformers' base classes."""

from ..source.known_keys import Keys

# The key of each size of an architecture, the same for decoders and encoders.
CONFIG_KEY_OF_SIZE = {
    "vocabulary_size": "vocab_size",
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ffn_size": "intermediate_size",
    "context_length": "max_position_embeddings",
}
# Settings of generation after the logits. Calls here have their own settings for sampling and length. What a call
# cannot ask for is refused, unless it is off. transformers reads these from generation_config.json, in old files from
# config.json.
GENERATION = Keys(
    harmless_at={
        "suppress_tokens": ([],),
        "begin_suppress_tokens": ([],),
        "bad_words_ids": ([],),
        "force_words_ids": ([],),
        "forced_bos_token_id": (),
        "forced_eos_token_id": (),
        "forced_decoder_ids": ([],),
        "sequence_bias": ({}, []),
        "constraints": ([],),
        "stop_strings": ([],),
        "exponential_decay_length_penalty": (),
        "no_repeat_ngram_size": (0,),
        "encoder_no_repeat_ngram_size": (0,),
        "encoder_repetition_penalty": (1, 1.0),
        "min_length": (0,),
        "min_new_tokens": (0,),
        "num_beams": (1,),
        "num_beam_groups": (1,),
        "diversity_penalty": (0, 0.0),
        "penalty_alpha": (0, 0.0),
        "guidance_scale": (1, 1.0),
        "watermarking_config": (),
        "token_healing": (False,),
        "dola_layers": (),
        "top_h": (),
        "epsilon_cutoff": (0, 0.0),
        "eta_cutoff": (0, 0.0),
    },
    harmless=(
        "do_sample",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repetition_penalty",
        "max_length",
        "max_new_tokens",
        "max_time",
        # Only for beam search.
        "early_stopping",
        "length_penalty",
        "low_memory",
        # The first changes only values that are not finite; neither changes the order of probabilities.
        "remove_invalid_values",
        "renormalize_logits",
        # How many answers, and what is returned with them.
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_logits",
        "output_scores",
        "return_dict_in_generate",
        # The KV cache and speculative decoding: the text is the same.
        "use_cache",
        "cache_config",
        "cache_implementation",
        "compile_config",
        "continuous_batching_config",
        "disable_compile",
        "max_cache_len",
        "prefill_chunk_size",
        "prompt_lookup_num_tokens",
        "max_matching_ngram_size",
        "is_assistant",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "assistant_early_exit",
        "assistant_ensemble_weight",
        "assistant_lookbehind",
        "target_lookbehind",
        "speculation_type",
        "use_mtp",
    ),
)

# Token ids: `generation_config` reads those that begin and end a text.
TOKEN_IDS = Keys(
    used=("bos_token_id", "eos_token_id"),
    harmless=(
        "pad_token_id",
        "sep_token_id",
        "cls_token_id",
        "mask_token_id",
        "unk_token_id",
        "decoder_start_token_id",
    ),
)

# Who wrote a file, and with what.
WRITTEN_BY = Keys(harmless=("_from_model_config", "_commit_hash", "transformers_version", "trl_version", "unsloth_*"))

# Of programs that write the file beside transformers' own keys.
GENERATION_CONFIG = (
    GENERATION
    | TOKEN_IDS
    | WRITTEN_BY
    | Keys(
        harmless=(
            "chat_format",
            "max_window_size",
            "trust_remote_code",
            "user_token_id",
            "assistant_token_id",
            "generation_kwargs",
            "return_legacy_cache",
        )
    )
)

# What every config.json may have.
PRETRAINED = (
    GENERATION
    | TOKEN_IDS
    | WRITTEN_BY
    | Keys(
        used=("model_type", "architectures"),
        harmless_at={
            "quantization_config": (),
            "compression_config": (),
            "quantization": (),
            "auto_map": ({},),  # another computation, as code in the folder
            "transformers_weights": ("model.safetensors",),
            "per_layer_config": ({},),
            "pruned_heads": ({},),
            "is_encoder_decoder": (False,),
            "is_decoder": (False,),
            "add_cross_attention": (False,),
            "cross_attention_hidden_size": (),
            "tie_encoder_decoder": (False,),
            "use_bidirectional_attention": (False,),
            "prefix": ("",),
        },
        harmless=(
            "_name_or_path",
            "name_or_path",
            "tokenizer_class",
            "torch_dtype",
            "dtype",
            "use_bfloat16",
            "use_fp16",
            "fp16",
            "bf16",
            "fp32",
            "initializer_range",
            "initializer_factor",
            # Training and heads for tasks.
            "gradient_checkpointing",
            "use_gradient_checkpointing",
            "finetuning_task",
            "task_specific_params",
            "id2label",
            "label2id",
            "num_labels",
            "problem_type",
            "classifier_dropout",
            "attention_dropout",
            "attention_probs_dropout_prob",
            "hidden_dropout",
            "hidden_dropout_prob",
            "resid_pdrop",
            "embd_pdrop",
            "attn_pdrop",
            "router_aux_loss_coef",
            "output_router_logits",
            # What a call returns, and by which program it is computed.
            "return_dict",
            "return_dict_in_generate",
            "output_past",
            "torchscript",
            "tf_legacy_loss",
            "chunk_size_feed_forward",
            "attn_implementation",
            "_attn_implementation",
            "_attn_implementation_autoset",
            "_attn_implementation_internal",
            "_experts_implementation",
            "_experts_implementation_internal",
            "experts_implementation",
            "_flash_attn_2_enabled",
            "use_flash_attn",
            "use_flash_attention",
            "use_flash_attention_2",
            "flash_attention",
            "transformers.js_config",
            "model_max_length",
            "max_sequence_length",
        ),
    )
)
