-- Deploy hartonomous:function_last_row to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.last_row(x bytea, width integer)
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.last_row(x, width)
$python$;

REVOKE ALL ON FUNCTION llm.last_row(bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.last_row(bytea, integer) TO llm_user;
COMMENT ON FUNCTION llm.last_row(bytea, integer) IS
E'The last row of an activation, which predicts the next token.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x: NULL gives NULL.\n'
'width: numbers in a row.';

COMMIT;
