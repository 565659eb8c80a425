-- Deploy hartonomous:function_swiglu to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.swiglu(gate bytea, up bytea)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.swiglu(gate, up)
$python$;

REVOKE ALL ON FUNCTION llm.swiglu(bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.swiglu(bytea, bytea) TO llm_user;
COMMENT ON FUNCTION llm.swiglu(bytea, bytea) IS
E'gate / (1 + exp(-gate)) * up, element by element (arXiv 2002.05202).\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'gate, up: of the same size; NULL gives NULL.';

COMMIT;
