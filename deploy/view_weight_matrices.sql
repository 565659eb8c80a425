-- Deploy hartonomous:view_weight_matrices to pg
-- requires: schema_llm, view_store_tensor_row, function_store_atom_keys, function_store_decoded_array

-- security_invoker: the reader sees only models that its own rights allow.
-- A row of a matrix is decoded once, and each array of its keys is computed once: LIMIT keeps the planner from computing them for
-- each column. Arrays that nobody selects are not computed. Each of them reads the row's slice of its tile again, which is cheaper
-- than another subquery: that would cost a tenth of a short query's time.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.weight_matrices WITH (security_invoker = TRUE) AS
SELECT
    r.model,
    r.tensor AS matrix_name,
    r.row_number AS row_idx,
    (c.n - 1)::integer AS col_idx,
    k.h_xy[c.n] AS weight_atom_h_xy,
    k.h_yz[c.n] AS weight_atom_h_yz,
    k.h_zm[c.n] AS weight_atom_h_zm,
    c.weight
FROM llm_store.tensor_row AS r
LEFT JOIN LATERAL ( -- noqa: ST05
    SELECT
        llm_store.atom_keys(r.type, r.content, 0)::bigint[] AS h_xy,
        llm_store.atom_keys(r.type, r.content, 1)::bigint[] AS h_yz,
        llm_store.atom_keys(r.type, r.content, 2)::bigint[] AS h_zm
    LIMIT 1 -- noqa: AM09
) AS k ON TRUE
CROSS JOIN LATERAL
    unnest(llm_store.decoded_array(r.type, r.content)::real[]) WITH ORDINALITY AS c (weight, n);

ALTER VIEW llm.weight_matrices OWNER TO llm_owner;
GRANT SELECT ON llm.weight_matrices TO llm_user;

COMMENT ON VIEW llm.weight_matrices IS
'Every weight of every model, one per row; a vector is a matrix of one row. Nothing of it is stored: conditions on '
'model, matrix_name, row_idx and col_idx decode only those rows. llm.matrix returns a whole matrix.';
COMMENT ON COLUMN llm.weight_matrices.model IS 'The model''s name.';
COMMENT ON COLUMN llm.weight_matrices.matrix_name IS 'The tensor''s GGUF name: blk.0.attn_q.weight.';
COMMENT ON COLUMN llm.weight_matrices.row_idx IS
'The row, from 0: an output of the matrix; in a token embedding, a token.';
COMMENT ON COLUMN llm.weight_matrices.col_idx IS 'The column, from 0: an input of the matrix.';
COMMENT ON COLUMN llm.weight_matrices.weight_atom_h_xy IS
'h_xy of the weight code in llm_atoms.atoms; NULL for encodings whose codes are not atoms.';
COMMENT ON COLUMN llm.weight_matrices.weight_atom_h_yz IS 'h_yz of the weight code in llm_atoms.atoms, or NULL.';
COMMENT ON COLUMN llm.weight_matrices.weight_atom_h_zm IS 'h_zm of the weight code in llm_atoms.atoms, or NULL.';
COMMENT ON COLUMN llm.weight_matrices.weight IS 'The weight.';

COMMIT;
