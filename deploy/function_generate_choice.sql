-- Deploy hartonomous:function_generate_choice to pg
-- requires: schema_llm, role_llm_owner, function_runtime_generate, function_runtime_check_prompt, function_runtime_check_elements

-- The size of a large prompt is checked before Python gets it: see function_generate.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate_choice(
    prompt text,
    choices text[],
    model text DEFAULT NULL,
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
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
        prompt, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, NULL,
        coalesce(options, '{}') || jsonb_build_object('choices', choices)
    ) AS g
    WHERE
        ((octet_length(prompt) > 1000000) IS NOT TRUE OR llm_runtime.check_prompt(octet_length(prompt), model))
        AND llm_runtime.check_texts(choices, 'choices');
END;

ALTER FUNCTION llm.generate_choice OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate_choice FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate_choice TO llm_user;
COMMENT ON FUNCTION llm.generate_choice IS
E'Generates one of some texts, a token at a time: the model never writes anything else.\n'
'prompt: as llm.generate has it; NULL gives NULL.\n'
'choices: at least one, none of them NULL or empty.\n'
'model: a name from llm.models; NULL is the default model.\n'
'max_tokens: the most tokens to generate; NULL is 128. A text that is not complete then is an error (53400).\n'
'temperature: 0 always picks the most likely token that is allowed; higher values, up to 100, sample more randomly.\n'
'top_k: sample from the k most likely tokens (NULL or 0: all).\n'
'top_p: sample from the fewest tokens whose probabilities add up to this (NULL or 1: all).\n'
'min_p: sample from tokens with at least this fraction of the largest probability (NULL or 0: all).\n'
'repeat_penalty: from 0.01 to 100; above 1, tokens that occurred already become less likely (NULL or 1: off).\n'
'seed: the same seed gives the same tokens; NULL uses a new seed at each call.\n'
'options: as llm.generate has them, without echo, ignore_eos and stop_tokens. For many prompts give the option '
'choices to llm.generate_many or llm.generate_query.\n'
'Tokens that are not allowed are masked before one is chosen. Control tokens and U+0000 never are.';

COMMIT;
