-- Deploy hartonomous:function_compare to pg
-- requires: schema_llm, role_llm_owner, function_generate_details, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.compare(
    prompt text,
    models text[],
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    seed bigint DEFAULT NULL
)
RETURNS TABLE (model text, text text, tokens integer, finish_reason text, milliseconds double precision)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 10
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT
        m.name AS model,
        g.text,
        g.completion_tokens AS tokens,
        g.finish_reason,
        g.milliseconds
    FROM unnest(models) WITH ORDINALITY AS m (name, number)
    CROSS JOIN LATERAL llm.generate_details(
        prompt, m.name, max_tokens, temperature, NULL, NULL, NULL, NULL, seed
    ) AS g
    WHERE llm_runtime.check_texts(models, 'models')
    ORDER BY m.number;
END;

ALTER FUNCTION llm.compare(text, text[], integer, double precision, bigint) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.compare(text, text[], integer, double precision, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.compare(text, text[], integer, double precision, bigint) TO llm_user;
COMMENT ON FUNCTION llm.compare(text, text[], integer, double precision, bigint) IS
E'The continuations of one prompt by several models, a row each in the order of the array: model, text, tokens (how '
'many), finish_reason and milliseconds, of which a session spends some on the first use of a model.\n'
'prompt: NULL gives rows whose text is NULL.\n'
'models: names from llm.models; a NULL among them is the default model. NULL or an empty array gives no rows.\n'
'max_tokens, temperature, seed: as for llm.generate; all models have the same.';

COMMIT;
