-- Deploy hartonomous:function_bytes to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.bytes(numbers double precision[])
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.bytes_of(numbers)
$python$;

REVOKE ALL ON FUNCTION llm.bytes(double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.bytes(double precision[]) TO llm_user;
COMMENT ON FUNCTION llm.bytes(double precision[]) IS
E'An activation from numbers, the inverse of llm.floats.\n'
'numbers: rounded to float32; NULL gives NULL, NULL among them and numbers too large for float32 are errors.';

COMMIT;
