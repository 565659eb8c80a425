-- Deploy hartonomous:function_forward to pg
-- requires: function_architecture, function_embedding, function_linear, function_rms_norm, function_queries_keys_values, function_attention, function_swiglu_of_weights, function_last_row, function_store_forward_tokens, function_runtime_check_elements

-- Every operator is VOLATILE, so the planner evaluates each step once, as written.
-- PL/pgSQL around one query keeps the plan; an SQL function would be parsed and planned at every call.
-- join_collapse_limit: steps are joined in the order in which they are written. jit: compiling would cost more than it saves.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.forward(
    tokens integer[],
    model text DEFAULT NULL,
    cache bigint DEFAULT NULL,
    start integer DEFAULT 0
)
RETURNS bytea
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET join_collapse_limit = 1
SET jit = off
SET plan_cache_mode = force_generic_plan
COST 10000
AS $function$
BEGIN RETURN (

WITH

architecture AS MATERIALIZED (
    SELECT
        (a ->> 'layers')::integer AS layers,
        (a ->> 'hidden_size')::integer AS width,
        CASE WHEN (a ->> 'tied_embeddings')::boolean THEN 'token_embd.weight' ELSE 'output.weight' END AS head
    FROM llm.architecture(model) AS a
),

-- The prompt, 64 tokens a row: PREFILL_CHUNK of plpython/reference/decoder.py, so that both give the same bits.
chunk AS MATERIALIZED (
    SELECT
        array_agg(token ORDER BY n) AS tokens,
        array_agg(start + n::integer - 1 ORDER BY n) AS positions
    FROM unnest(
        CASE
            WHEN llm_runtime.check_elements(cardinality(tokens), 'tokens')
                THEN llm_store.forward_tokens(tokens, cache, start, model)
        END
    ) WITH ORDINALITY AS t (token, n)
    GROUP BY (n - 1) / 64
    ORDER BY (n - 1) / 64
)

SELECT llm.linear(llm.rms_norm(llm.last_row(y, width), 'output_norm.weight', model), head, model) AS logits
FROM architecture
CROSS JOIN chunk
CROSS JOIN LATERAL (
    -- x is the residual stream: a row of `width` numbers for each token of the chunk.
    WITH RECURSIVE transformer (layer, x) AS (
        SELECT 0, llm.embedding(chunk.tokens, model)
        UNION ALL
        SELECT layer + 1, llm.linear(gated, blk || 'ffn_down.weight', model, residual => attended)
        FROM transformer
        CROSS JOIN concat('blk.', layer, '.') AS blk
        CROSS JOIN llm.rms_norm(x, blk || 'attn_norm.weight', model) AS h
        CROSS JOIN llm.queries_keys_values(h, layer, chunk.positions, model) AS t (q, k, v)
        CROSS JOIN llm.attention(q, k, v, cache, layer, chunk.positions, model) AS seen
        CROSS JOIN llm.linear(seen, blk || 'attn_output.weight', model, blk || 'attn_output.bias', x) AS attended
        CROSS JOIN llm.rms_norm(attended, blk || 'ffn_norm.weight', model) AS h2
        CROSS JOIN llm.swiglu(h2, blk || 'ffn_gate.weight', blk || 'ffn_up.weight', model) AS gated
        WHERE layer < layers
    )

    SELECT x AS y FROM transformer WHERE layer = layers
) AS transformed
ORDER BY chunk.positions DESC
LIMIT 1

); END
$function$;

ALTER FUNCTION llm.forward(integer[], text, bigint, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.forward(integer[], text, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.forward(integer[], text, bigint, integer) TO llm_user;
COMMENT ON FUNCTION llm.forward(integer[], text, bigint, integer) IS
E'The transformer as one query over the operators. Returns the logits after the last token: little-endian float32, '
'one number per row of the vocabulary, bit for bit those of the current engine.\n'
'One query serves every family: biases and norms that a family does not have change nothing.\n'
'tokens: used as they are, without a beginning-of-sequence token before them. NULL or an empty array gives NULL; '
'more tokens than the context holds are an error.\n'
'model: a name from llm.models; NULL is the default model.\n'
'cache: a handle from llm.new_kv_cache, so that the next call can continue; NULL is a scratch cache of the session, '
'and start must be 0.\n'
'start: the position of the first token, from 0, at most the number of positions in the cache. Positions from there '
'on are replaced.';

COMMIT;
