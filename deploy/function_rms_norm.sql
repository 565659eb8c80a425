-- Deploy hartonomous:function_rms_norm to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.rms_norm(
    x bytea,
    weight text,
    model text DEFAULT NULL,
    epsilon double precision DEFAULT NULL
)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.rms_norm(x, weight, model, epsilon)
$python$;

REVOKE ALL ON FUNCTION llm.rms_norm(bytea, text, text, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.rms_norm(bytea, text, text, double precision) TO llm_user;
COMMENT ON FUNCTION llm.rms_norm(bytea, text, text, double precision) IS
E'Each row divided by its root mean square, times the weight (arXiv 1910.07467): [n, width] to [n, width]. A row is '
'as wide as the weight, so a weight as wide as a head normalises each head.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x: NULL gives NULL.\n'
'weight: the name of a vector in llm.tensors. If the family has no such norm (attn_q_norm.weight, '
'attn_k_norm.weight), the result is x.\n'
'model: a name from llm.models; NULL is the default model.\n'
'epsilon: added to the mean square; NULL is the model''s own.';

COMMIT;
