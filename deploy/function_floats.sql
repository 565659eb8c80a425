-- Deploy hartonomous:function_floats to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.floats(x bytea)
RETURNS real[]
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.floats(x)
$python$;

REVOKE ALL ON FUNCTION llm.floats(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.floats(bytea) TO llm_user;
COMMENT ON FUNCTION llm.floats(bytea) IS
E'Converts an activation to real[] for inspection: the inverse of llm.bytes.\n'
'x: little-endian float32, with at most elements of llm_runtime.call_limits() numbers; NULL gives NULL.';

COMMIT;
