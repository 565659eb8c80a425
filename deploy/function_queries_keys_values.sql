-- Deploy hartonomous:function_queries_keys_values to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.queries_keys_values(
    x bytea,
    layer integer,
    positions integer[],
    model text,
    OUT q bytea,
    OUT k bytea,
    OUT v bytea
)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.queries_keys_values(x, layer, positions, model)
$python$;

CREATE FUNCTION llm.queries_keys_values(
    x bytea,
    layer integer,
    positions integer[],
    model text DEFAULT NULL,
    OUT q bytea,
    OUT k bytea,
    OUT v bytea
)
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT
        t.q,
        t.k,
        t.v
    FROM llm_runtime.queries_keys_values(x, layer, positions, model) AS t
    WHERE llm_runtime.check_elements(cardinality(positions), 'positions');
END;

REVOKE ALL ON FUNCTION llm_runtime.queries_keys_values(bytea, integer, integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.queries_keys_values(bytea, integer, integer[], text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.queries_keys_values(bytea, integer, integer[], text) IS
'Called by llm.queries_keys_values after it has checked the size of the array.';

ALTER FUNCTION llm.queries_keys_values(bytea, integer, integer[], text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.queries_keys_values(bytea, integer, integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.queries_keys_values(bytea, integer, integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.queries_keys_values(bytea, integer, integer[], text) IS
E'The queries, keys and values of a layer for llm.attention: q, [n, heads * head_dim], and k and v, [n, kv_heads * '
'head_dim], from x, [n, hidden_size]. Bit for bit the same as seven calls of llm.linear, llm.rms_norm and llm.rope.\n'
'Each is x times the layer''s attn_q.weight, attn_k.weight or attn_v.weight, plus its bias. The heads of q and k are '
'normalised with attn_q_norm.weight and attn_k_norm.weight and rotated by their positions. A bias or norm that the '
'family does not have changes nothing.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x, layer, positions: NULL gives NULL.\n'
'layer: from 0.\n'
'positions: one for each token, ascending by 1, from 0 and within the model''s context.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
