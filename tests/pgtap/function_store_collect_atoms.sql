BEGIN;
SELECT plan(4);

\ir three_tokens.psql
-- a second one that no other tokenizer in the server has
INSERT INTO llm_store.token (tokenizer_id, id, bytes, text, kind)
SELECT
    k.id AS tokenizer_id,
    3 AS id,
    'aqzq' AS bytes,
    '' AS text,
    'normal' AS kind
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT llm_store.collect_atoms(1000000);
SELECT isnt_empty(
    $$SELECT FROM llm_store.atom WHERE content_hash = sha256('aqz')$$, 'what a tokenizer has stays');
DELETE FROM llm_store.token AS t USING llm_store.tokenizer AS k
WHERE t.tokenizer_id = k.id AND k.hash = sha256('tokenizer');
DELETE FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT is(llm_store.collect_atoms(1), 1::bigint, 'no more than the batch goes at once');
SELECT cmp_ok(llm_store.collect_atoms(1000000), '>=', 1::bigint, 'what none has goes');
SELECT is_empty(
    $$SELECT FROM llm_store.atom WHERE content_hash = sha256('aqz')$$, 'and is gone');

SELECT * FROM finish();
ROLLBACK;
