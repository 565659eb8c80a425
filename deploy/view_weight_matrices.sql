-- Deploy hartonomous:view_weight_matrices to pg
-- requires: schema_llm, view_store_tensor_row, function_store_atom_keys, function_store_decoded_array

-- security_invoker: the reader's own rights decide which models are there.
-- OFFSET 0, and columns that are counted from what was decoded, keep each row read and decoded once, and not once a
-- column; the model's name there keeps it from being decoded before the model is found. Keys that nobody selects are not
-- computed.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.weight_matrices WITH (security_invoker = TRUE) AS
SELECT
    r.model,
    r.tensor AS matrix_name,
    r.row_number AS row_idx,
    (c.n - 1)::integer AS col_idx,
    d.h_xy[c.n] AS weight_atom_h_xy,
    d.h_yz[c.n] AS weight_atom_h_yz,
    d.h_zm[c.n] AS weight_atom_h_zm,
    c.weight
FROM llm_store.tensor_row AS r
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        llm_store.decoded_array(once.type, once.content)::real[] AS numbers,
        llm_store.atom_keys(once.type, once.content, 0)::bigint[] AS h_xy,
        llm_store.atom_keys(once.type, once.content, 1)::bigint[] AS h_yz,
        llm_store.atom_keys(once.type, once.content, 2)::bigint[] AS h_zm
    FROM (
        SELECT v.*
        FROM (VALUES (r.model, r.type, r.content)) AS v (model, type, content)
        OFFSET 0 -- noqa: AM09
    ) AS once
    OFFSET 0 -- noqa: AM09
) AS d
CROSS JOIN LATERAL unnest(d.numbers) WITH ORDINALITY AS c (weight, n);

ALTER VIEW llm.weight_matrices OWNER TO llm_owner;
GRANT SELECT ON llm.weight_matrices TO llm_user;

COMMENT ON VIEW llm.weight_matrices IS
'Every weight of every model, one a row; a vector is a matrix of one row. Nothing of it is stored: conditions on '
'model, matrix_name, row_idx and col_idx decode the rows that they ask for. llm.matrix gives a whole matrix at once.';
COMMENT ON COLUMN llm.weight_matrices.model IS 'The model''s name.';
COMMENT ON COLUMN llm.weight_matrices.matrix_name IS 'The tensor''s name in GGUF''s scheme: blk.0.attn_q.weight.';
COMMENT ON COLUMN llm.weight_matrices.row_idx IS 'The row, from 0: an output of the matrix; in embeddings a token.';
COMMENT ON COLUMN llm.weight_matrices.col_idx IS 'The column, from 0: an input of the matrix.';
COMMENT ON COLUMN llm.weight_matrices.weight_atom_h_xy IS
'h_xy of the weight code in llm.atoms; NULL for encodings whose codes are no atoms.';
COMMENT ON COLUMN llm.weight_matrices.weight_atom_h_yz IS 'h_yz of the weight code in llm.atoms, or NULL.';
COMMENT ON COLUMN llm.weight_matrices.weight_atom_h_zm IS 'h_zm of the weight code in llm.atoms, or NULL.';
COMMENT ON COLUMN llm.weight_matrices.weight IS 'The weight.';

COMMIT;
