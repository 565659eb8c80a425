-- Deploy hartonomous:function_bytes to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.bytes(numbers real [])
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.pack(numbers)
$python$;

REVOKE ALL ON FUNCTION llm.bytes(real []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.bytes(real []) TO llm_user;
COMMENT ON FUNCTION llm.bytes(real []) IS
'An activation from numbers, the inverse of llm.floats. numbers: NULL gives NULL, NULL among them is an error.';

COMMIT;
