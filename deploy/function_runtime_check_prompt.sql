-- Deploy hartonomous:function_runtime_check_prompt to pg
-- requires: schema_llm_runtime, function_runtime_boot, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.check_prompt(bytes integer, model text)
RETURNS boolean
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.generation.check_prompt(bytes, model)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.check_prompt(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.check_prompt(integer, text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.check_prompt(integer, text) IS
E'Returns true, or raises an error (53400) if a prompt of so many bytes cannot fit in the context of the model, or is '
'larger than text_mb of llm_runtime.call_limits().\n'
'model: as in llm.generate.';

COMMIT;
