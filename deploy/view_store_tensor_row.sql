-- Deploy hartonomous:view_store_tensor_row to pg
-- requires: table_model_tensor, function_store_row_content, function_store_numbers_below

-- security_invoker: the reader sees only models that its own rights allow.
-- The content is a function and no join: it is computed for the rows that are asked for, from a slice of their tile, and
-- planning a query takes a fraction of the time.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_store.tensor_row WITH (security_invoker = TRUE) AS
SELECT
    m.id AS model_id,
    m.name AS model,
    m.tokenizer_id,
    mt.name AS tensor,
    t.hash AS tensor_hash,
    t.type,
    t.shape[cardinality(t.shape)] AS columns,
    r.n AS row_number,
    llm_store.row_content(t.hash, r.n, t.rows_per_tile, t.bytes / s.rows) AS content
FROM llm_store.model AS m
INNER JOIN llm_store.model_tensor AS mt ON m.id = mt.model_id
INNER JOIN llm_store.tensor AS t ON mt.tensor_hash = t.hash
CROSS JOIN LATERAL (SELECT CASE cardinality(t.shape) WHEN 1 THEN 1 ELSE t.shape[1] END AS rows) AS s -- noqa: ST05
CROSS JOIN LATERAL llm_store.numbers_below(s.rows) AS r
WHERE cardinality(t.shape) <= 2;

ALTER VIEW llm_store.tensor_row OWNER TO llm_owner;
GRANT SELECT ON llm_store.tensor_row TO llm_user;

COMMENT ON VIEW llm_store.tensor_row IS
'Every row of every tensor of each model, as it is stored; a vector is one row. A condition on model, tensor and row '
'reads only that row. The hash of its tile is not checked, because that would read the whole tile; llm.verify does '
'it.';
COMMENT ON COLUMN llm_store.tensor_row.model_id IS 'The model.';
COMMENT ON COLUMN llm_store.tensor_row.model IS 'The model''s name.';
COMMENT ON COLUMN llm_store.tensor_row.tokenizer_id IS 'The model''s tokenizer.';
COMMENT ON COLUMN llm_store.tensor_row.tensor IS 'The tensor''s name in the model.';
COMMENT ON COLUMN llm_store.tensor_row.tensor_hash IS 'The tensor.';
COMMENT ON COLUMN llm_store.tensor_row.type IS 'Its encoding.';
COMMENT ON COLUMN llm_store.tensor_row.columns IS 'How many numbers the row has.';
COMMENT ON COLUMN llm_store.tensor_row.row_number IS 'The row, from 0.';
COMMENT ON COLUMN llm_store.tensor_row.content IS 'The bytes of the row, in that encoding.';

COMMIT;
