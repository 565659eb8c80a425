-- Deploy hartonomous:function_runtime_generate to pg
-- requires: schema_llm_runtime, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

-- VOLATILE: two calls may differ, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.generate(
    prompt text,
    model text,
    max_tokens integer,
    temperature double precision,
    top_k integer,
    top_p double precision,
    min_p double precision,
    repeat_penalty double precision,
    seed bigint,
    stop text[],
    options jsonb,
    OUT text text,
    OUT tokens integer[],
    OUT finish_reason text,
    OUT prompt_tokens integer,
    OUT completion_tokens integer,
    OUT milliseconds double precision
)
RETURNS record
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.generation.details(
    prompt, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.generate TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.generate IS
'Called by llm.generate and llm.generate_details after they have checked the size of the prompt.';

COMMIT;
