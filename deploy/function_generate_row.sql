-- Deploy hartonomous:function_generate_row to pg
-- requires: schema_llm, role_llm_owner, function_generate_json, function_runtime_row_schema

-- The caller's rights decide, also in the CHECKs of domains, which are computed when the value becomes one.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate_row(
    prompt text,
    type regtype,
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
RETURNS jsonb
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    value jsonb;
BEGIN
    IF type IS NULL OR NOT EXISTS (
        SELECT FROM pg_type AS t
        LEFT JOIN pg_type AS base ON t.typbasetype = base.oid
        WHERE t.oid = type AND 'c' IN (t.typtype, base.typtype)
    ) THEN
        RAISE EXCEPTION 'llm: argument type does not fit' USING
            ERRCODE = '22023',
            DETAIL = format('type is %s, allowed is a table or a composite type', coalesce(type::text, 'null'));
    END IF;
    value := llm.generate_json(
        prompt, llm_runtime.row_schema(type), model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty,
        seed, options
    );
    IF value IS NOT NULL THEN
        EXECUTE format('SELECT jsonb_populate_record(NULL::%s, $1)', type) USING value;
    END IF;
    RETURN value;
END
$function$;

ALTER FUNCTION llm.generate_row OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate_row FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate_row TO llm_user;
COMMENT ON FUNCTION llm.generate_row IS
E'Generates a row of a table or a composite type, as JSON for jsonb_populate_record, or raises an error.\n'
'prompt: as llm.generate has it; NULL gives NULL.\n'
'type: of the row. Every column is in it, in its order, but generated ones; NULL only where a column may be. Enums, '
'arrays (16 elements at most), numbers, dates and lengths of varchar bound what is written. The value is then read as '
'the type: what does not fit, such as a range that ends before it begins, or the CHECK of a domain, is the error that '
'PostgreSQL gives.\n'
'model: a name from llm.models; NULL is the default model.\n'
'max_tokens: the most tokens to generate; NULL is 128. A text that is not complete then is an error (53400).\n'
'temperature: 0 always picks the most likely token that is allowed; higher values, up to 100, sample more randomly.\n'
'top_k: sample from the k most likely tokens (NULL or 0: all).\n'
'top_p: sample from the fewest tokens whose probabilities add up to this (NULL or 1: all).\n'
'min_p: sample from tokens with at least this fraction of the largest probability (NULL or 0: all).\n'
'repeat_penalty: from 0.01 to 100; above 1, tokens that occurred already become less likely (NULL or 1: off).\n'
'seed: the same seed gives the same tokens; NULL uses a new seed at each call.\n'
'options: as llm.generate has them, without echo, ignore_eos and stop_tokens.\n'
'The table''s own CHECK constraints are those of an INSERT, and are not looked at.';

COMMIT;
