-- Deploy hartonomous:function_generate_details to pg
-- requires: schema_llm, function_runtime_generate, function_runtime_check_prompt, function_runtime_check_elements

-- The size of a large prompt is checked before Python gets it: see function_generate.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate_details(
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
    options jsonb DEFAULT NULL,
    OUT text text,
    OUT tokens integer[],
    OUT finish_reason text,
    OUT prompt_tokens integer,
    OUT completion_tokens integer,
    OUT milliseconds double precision
)
RETURNS record
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT
        g.text,
        g.tokens,
        g.finish_reason,
        g.prompt_tokens,
        g.completion_tokens,
        g.milliseconds
    FROM llm_runtime.generate(
        prompt, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
    ) AS g
    WHERE
        ((octet_length(prompt) > 1000000) IS NOT TRUE OR llm_runtime.check_prompt(octet_length(prompt), model))
        AND llm_runtime.check_texts(stop, 'stop');
END;

ALTER FUNCTION llm.generate_details OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate_details FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate_details TO llm_user;
COMMENT ON FUNCTION llm.generate_details IS
E'As llm.generate, with details in one row: text, tokens (ids of the continuation, without the end-of-sequence '
'token), finish_reason (stop: the model ended the text; stop_string: a stop string did; length: max_tokens or the '
'context was reached), prompt_tokens, completion_tokens and milliseconds.\n'
'Arguments are those of llm.generate; a NULL prompt gives a row of NULLs.\n'
'tokens may end in half a character; text never does.';

COMMIT;
