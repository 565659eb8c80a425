-- Deploy hartonomous:function_generate to pg
-- requires: schema_llm, function_runtime_generate, function_runtime_check_prompt, function_runtime_check_elements

-- PL/Python makes two copies of a text before its function starts. So the size of a large prompt is checked here, where a
-- stored prompt is not even read.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate(
    prompt text,
    model text DEFAULT NULL,
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
    stop text[] DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS text
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT g.text FROM llm_runtime.generate(
        prompt, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
    ) AS g
    WHERE
        ((octet_length(prompt) > 1000000) IS NOT TRUE OR llm_runtime.check_prompt(octet_length(prompt), model))
        AND llm_runtime.check_texts(stop, 'stop');
END;

ALTER FUNCTION llm.generate OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate TO llm_user;
COMMENT ON FUNCTION llm.generate IS
E'Generates text from a prompt and returns only the continuation.\n'
'prompt: NULL gives NULL. For an empty prompt the model starts from the tokens that it puts before a text, or from '
'its beginning-of-sequence token; if it has neither, that is an error. A prompt longer than the context is an error.\n'
'model: a name from llm.models; NULL is the default model.\n'
'max_tokens: the most tokens to generate, also limited by the context; NULL is 128, or max_tokens of '
'llm_runtime.call_limits() if that is less.\n'
'temperature: 0 always picks the most likely token; higher values, up to 100, sample more randomly.\n'
'top_k: sample from the k most likely tokens (NULL or 0: all).\n'
'top_p: sample from the fewest tokens whose probabilities add up to this (NULL or 1: all).\n'
'min_p: sample from tokens with at least this fraction of the largest probability (NULL or 0: all).\n'
'repeat_penalty: from 0.01 to 100; above 1, tokens that occurred already become less likely (NULL or 1: off).\n'
'seed: the same seed gives the same tokens; NULL uses a new seed at each call.\n'
'stop: strings that end the text; they are not part of it.\n'
'options: a JSON object; an unknown key is an error. Keys and defaults: add_special (true: put the model''s own '
'tokens, such as beginning-of-sequence, before the prompt), parse_special (false: control tokens written in the '
'prompt are text), echo (false; true: begin the text with the prompt), ignore_eos (false; true: go on after an '
'end-of-sequence token), stop_tokens ([]: ids of further tokens that end the text), guess (0, or 8 with a draft; up to '
'16: the most tokens to guess at a time), draft (none: the name of a model that guesses too), the samplers that '
'llm.samplers() lists as options, and one of schema, regex, choices, grammar (none: what the text must be, as '
'llm.generate_json, generate_regex, generate_choice and generate_grammar take it; then an unfinished text is an '
'error).\n'
'Guesses never change the text, only the time that it takes: the model verifies several in one pass. Prompt lookup '
'guesses what followed the same tokens before; that helps where the text repeats itself or the prompt. A draft is a '
'smaller model with the same tokenizer, or a copy in fewer bits, which llm.quantize makes; another tokenizer is an '
'error. With a draft, prompt lookup guesses where it finds something and the draft elsewhere, and how many tokens '
'follows from measured times: whichever gains less than nothing rests, and is tried again ever more rarely. A draft '
'has the memory that the limit batch_mb leaves beside the text, and of a long prompt reads only the end where more '
'would take longer than it can save. The numpy engine guesses nothing.\n'
'NULL means the default for every argument but prompt.\n'
'Writes no rows. Can be cancelled at any time.\n'
'A session keeps the KV caches of its latest texts, up to llm.kv_cache_mb (megabytes, 256 unless set, 0: none), so '
'that a prompt which begins like an earlier one computes only the rest.\n'
'The setting llm.threads is the number of threads; unless set, 1 to decode a single text and all processors for '
'several tokens at once.';

COMMIT;
