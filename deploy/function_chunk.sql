-- Deploy hartonomous:function_chunk to pg
-- requires: schema_llm, role_llm_owner, function_store_chunk_rows, function_store_raise_late

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.chunk(
    text text,
    model text DEFAULT NULL,
    tokens integer DEFAULT NULL,
    overlap integer DEFAULT NULL
)
RETURNS TABLE (ordinal integer, chunk text, first integer, token_count integer)
LANGUAGE sql
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 20
BEGIN ATOMIC
    SELECT
        (r.computed).ordinal AS ordinal,
        (r.computed).chunk AS chunk,
        (r.computed).first AS first,
        (r.computed).token_count AS token_count
    FROM (SELECT llm_store.chunk_rows(text, model, tokens, overlap) AS computed) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.chunk(text, text, integer, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.chunk(text, text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.chunk(text, text, integer, integer) TO llm_user;
COMMENT ON FUNCTION llm.chunk(text, text, integer, integer) IS
E'Splits a text into overlapping chunks that fit into an embedding. Returns ordinal (from 1), chunk, first (the '
'position of its first character in the text, from 1) and token_count.\n'
'A chunk ends after a sentence if one ends in its second half, else after a word, else where it is full. The next '
'chunk begins with a sentence or a word among the last tokens of this one.\n'
'text: NULL or a blank text gives no rows.\n'
'model: counts with this model''s tokens; as in llm.embed.\n'
'tokens: the most tokens in a chunk; NULL is 128, or what the model reads if that is less.\n'
'overlap: the most tokens that the next chunk repeats; NULL is 16, or half of tokens if that is less; 0 repeats none.';

COMMIT;
