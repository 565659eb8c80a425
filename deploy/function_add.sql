-- Deploy hartonomous:function_add to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.add(x bytea, y bytea)
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.add(x, y)
$python$;

REVOKE ALL ON FUNCTION llm.add(bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.add(bytea, bytea) TO llm_user;
COMMENT ON FUNCTION llm.add(bytea, bytea) IS
E'x + y, element by element: a residual connection.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x, y: of the same size; NULL gives NULL.';

COMMIT;
