"""Which ids begin and end a text: generation_config.json's word before config.json's, as in transformers 5.24."""

from .errors import SourceError
from .fields import Fields, shown
from .known_keys import Keys, check_keys

DEFAULT_IDS = {  # of the configuration classes, where config.json leaves them out; other families have none
    ("llama", "bos_token_id"): 1,
    ("llama", "eos_token_id"): 2,
    ("mistral", "bos_token_id"): 1,
    ("mistral", "eos_token_id"): 2,
}
KEYS = Keys(
    used=("bos_token_id", "eos_token_id"),
    neutral={  # what forbids or forces tokens, or ends a text
        **dict.fromkeys(("suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "stop_strings"), ([],)),
        **dict.fromkeys(("force_words_ids", "constraints", "forced_decoder_ids", "sequence_bias"), ([], {})),
        **dict.fromkeys(("forced_bos_token_id", "forced_eos_token_id", "exponential_decay_length_penalty"), ()),
        "watermarking_config": (),
    },
    harmless=(
        # how a token is chosen and when a text is long enough: arguments of llm.generate
        *("do_sample", "temperature", "top_k", "top_p", "top_h", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
        *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"),
        *("num_beams", "num_beam_groups", "diversity_penalty", "length_penalty", "early_stopping", "penalty_alpha"),
        *("guidance_scale", "low_memory", "renormalize_logits", "remove_invalid_values", "dola_layers"),
        *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "max_time", "num_return_sequences"),
        "token_healing",
        # how transformers computes
        *("use_cache", "cache_implementation", "cache_config", "compile_config", "disable_compile", "max_cache_len"),
        *("continuous_batching_config", "prefill_chunk_size", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
        *("is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "speculation_type", "use_mtp"),
        *("target_lookbehind", "return_dict_in_generate", "return_legacy_cache", "output_attentions"),
        *("output_hidden_states", "output_logits", "output_scores", "generation_kwargs", "assistant_*"),
        # ids of other uses, and where the file came from
        *("pad_token_id", "decoder_start_token_id", "_from_model_config", "_commit_hash", "transformers_version"),
        *("chat_format", "max_window_size", "trust_remote_code", "user_token_id", "assistant_token_id"),
    ),
)


def token_ids(generation: Fields, config: Fields, name: str, rows: int) -> list[int]:
    """The ids of the first file that has any, a number or a list of them; else those of the configuration's class."""
    for source in (generation, config):
        value = source.values.get(name)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(item) is int for item in ids):
            raise SourceError(f'{source.source} "{name}" is not a token id or a list of them')
        if any(not 0 <= item < rows for item in ids):
            raise SourceError(f'{source.source} "{name}" is {shown(value)}, the vocabulary has {rows} tokens')
        if ids:
            return list(dict.fromkeys(ids))
    default = DEFAULT_IDS.get((config.values.get("model_type"), name))
    is_absent = default is not None and name not in generation.values and name not in config.values
    return [default] if is_absent and default < rows else []


def check_generation(generation: Fields) -> None:
    """Raise SourceError for a key of generation_config.json that is not known, or not supported at its value."""
    check_keys(generation, KEYS)
