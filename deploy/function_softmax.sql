-- Deploy hartonomous:function_softmax to pg
-- requires: schema_llm, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.softmax(x bytea, width integer DEFAULT NULL)
RETURNS bytea
LANGUAGE plpython3u
IMMUTABLE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.softmax(x, width)
$python$;

REVOKE ALL ON FUNCTION llm.softmax(bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.softmax(bytea, integer) TO llm_user;
COMMENT ON FUNCTION llm.softmax(bytea, integer) IS
E'exp(x) / sum(exp(x)) of each row: turns logits into probabilities.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x: NULL gives NULL.\n'
'width: numbers in a row; NULL takes all of x as one row.';

COMMIT;
