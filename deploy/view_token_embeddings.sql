-- Deploy hartonomous:view_token_embeddings to pg
-- requires: schema_llm, table_token, table_token_position, view_store_tensor_row, function_store_decoded, function_store_atom_keys

-- security_invoker: the reader sees only models that its own rights allow.
-- Subqueries are computed for the rows and columns that are asked for.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.token_embeddings WITH (security_invoker = TRUE) AS
SELECT
    r.model,
    r.row_number AS token_id,
    (
        SELECT t.text FROM llm_store.token AS t WHERE t.tokenizer_id = r.tokenizer_id AND t.id = r.row_number
    ) AS token_text,
    llm_store.atom_keys(r.type, r.content, 0)::bigint[] AS embedding_atom_id,
    (
        SELECT ARRAY[p.h_xy, p.h_yz, p.h_zm] FROM llm_store.token_position AS p
        WHERE p.tensor_hash = r.tensor_hash AND p.token_id = r.row_number
    ) AS embedding_h_coords,
    llm_store.decoded(r.type, r.content) AS embedding
FROM llm_store.tensor_row AS r
WHERE r.tensor = 'token_embd.weight';

ALTER VIEW llm.token_embeddings OWNER TO llm_owner;
GRANT SELECT ON llm.token_embeddings TO llm_user;

COMMENT ON VIEW llm.token_embeddings IS
'The embedding of every token of every model. Nothing of it is stored: a condition on model and token_id decodes '
'only those rows. To find a token by its text, use llm.tokens or llm.embedding(text).';
COMMENT ON COLUMN llm.token_embeddings.model IS 'The model''s name.';
COMMENT ON COLUMN llm.token_embeddings.token_id IS 'The token id.';
COMMENT ON COLUMN llm.token_embeddings.token_text IS 'The token as readable text.';
COMMENT ON COLUMN llm.token_embeddings.embedding_atom_id IS
'h_xy in llm_atoms.atoms of the weight code of each number; NULL for encodings whose codes are not atoms.';
COMMENT ON COLUMN llm.token_embeddings.embedding_h_coords IS
'h_xy, h_yz and h_zm of the token on the model''s map; NULL if llm_atoms.project(model) has not made it.';
COMMENT ON COLUMN llm.token_embeddings.embedding IS
'The numbers: bytea of little-endian float32, as operators take them; llm.floats shows them.';

COMMIT;
