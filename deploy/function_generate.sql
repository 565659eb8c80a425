-- Deploy hartonomous:function_generate to pg
-- requires: schema_llm, function_runtime_generate, function_runtime_check_prompt, function_runtime_check_elements

-- PL/Python makes two copies of a text before a function sees it. So the size of a large prompt is judged here, where a
-- stored one is not even read.
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
E'Generates text from a prompt; returns only the continuation.\n'
'prompt: NULL gives NULL; an empty one is what the model wants before a text, else the beginning-of-sequence token '
'alone, and an error where the model has neither; one longer than the context is an error.\n'
'model: a name of llm.models; NULL is the default model.\n'
'max_tokens: the most tokens to add, also limited by the end of the context; NULL is 128, or the limit max_tokens of '
'llm_runtime.call_limits() where that is less.\n'
'temperature: 0 always picks the most likely token; higher values (up to 100) sample more randomly.\n'
'top_k: sample from the k most likely tokens (NULL or 0: from all).\n'
'top_p: sample from the fewest most likely tokens that reach this probability together (NULL or 1: from all).\n'
'min_p: sample from tokens with at least this share of the largest probability (NULL or 0: from all).\n'
'repeat_penalty: above 1, up to 100, tokens that are there already become less likely; from 0.01 up to 1, more likely '
'(NULL or 1: neither).\n'
'seed: the same seed gives the same tokens; NULL: another seed at each call.\n'
'stop: strings that end the text, which does not include them.\n'
'options: an object with any of add_special (true: put the tokens before the prompt that the model wants before a '
'text), parse_special (false: control tokens written in the prompt are text), echo (false: begin the text '
'with the prompt), ignore_eos (false: end at an end-of-sequence token), stop_tokens ([]: ids of further tokens that '
'end the text), guess (0: the most tokens to guess at a time from what was written before, up to 16; the same text, '
'sooner where it repeats itself or the prompt; the numpy engine does not guess), and any sampler that llm.samplers() '
'lists as an option, by its name; an unknown key is an error.\n'
'NULL is the default of every argument but prompt.\n'
'Writes nothing; can be cancelled at any moment.\n'
'A session keeps the KV caches of what it wrote last, up to llm.kv_cache_mb (megabytes, 256 unless set, 0: none), so '
'a prompt that goes on from an earlier one computes only what is new.\n'
'llm.threads: how many threads compute, unless set 1 for a single token and all processors for several.';

COMMIT;
