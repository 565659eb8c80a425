-- Deploy hartonomous:function_logits to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.logits(tokens integer[], model text DEFAULT NULL)
RETURNS TABLE ("position" integer, logits bytea) -- noqa: RF06
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 100
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.scoring.logits(tokens, model)
$python$;

REVOKE ALL ON FUNCTION llm.logits(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.logits(integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.logits(integer[], text) IS
E'The logits after each of the tokens: a row a position from 0, little-endian float32, one number a row of the '
'vocabulary.\n'
'llm.floats shows them.\n'
'tokens: used as they are, nothing is put before them; NULL or none gives no rows; more than the context holds is an '
'error.\n'
'model: a name of llm.models; NULL is the default model, or the only one.';

COMMIT;
