-- Deploy hartonomous:function_embed_many to pg
-- requires: schema_llm, role_llm_owner, function_store_embed_many_rows, function_store_raise_late, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embed_many(texts text[], model text DEFAULT NULL, pooling text DEFAULT NULL)
RETURNS TABLE (ordinal integer, embedding bytea)
LANGUAGE sql
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 100
BEGIN ATOMIC
    SELECT
        (r.computed).ordinal AS ordinal,
        (r.computed).embedding AS embedding
    FROM (
        SELECT llm_store.embed_many_rows(texts, model, pooling) AS computed
        WHERE llm_runtime.check_texts(texts, 'texts')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.embed_many(text[], text, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.embed_many(text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embed_many(text[], text, text) TO llm_user;
COMMENT ON FUNCTION llm.embed_many(text[], text, text) IS
E'The embeddings of many texts in their order: ordinal (from 1) and embedding (little-endian float32; llm.floats '
'shows its numbers).\n'
'Texts of similar length are batched, without padding.\n'
'texts: NULL gives no rows. A NULL element has the embedding NULL. So has a text that the model''s tokenizer cannot '
'encode; a warning says how many there are, and why.\n'
'model: a name from llm.models; NULL is the default encoder, or, if no encoder was ever loaded, the default decoder.\n'
'pooling: how the tokens'' vectors become one. An encoder: mean or cls (the first token''s); NULL is its '
'configuration''s. A decoder: mean or last (the last token''s); NULL is mean.\n'
'A longer text than the model reads is truncated: for an encoder at its longest_text tokens, as '
'sentence-transformers does, for a decoder at its context length.\n'
'The vector has length 1, unless an encoder''s configuration says otherwise.';

COMMIT;
