BEGIN;
SELECT plan(3);

WITH new AS (
    INSERT INTO llm_store.tokenizer (hash, definition, settings)
    VALUES (sha256('tokenizer'), '{}', '{}') RETURNING id
)

INSERT INTO llm_store.token (tokenizer_id, id, bytes, text, kind)
SELECT
    new.id AS tokenizer_id,
    t.id,
    t.bytes,
    '' AS text,
    'normal' AS kind
FROM new, (VALUES (0, 'a'::bytea), (1, 'aqz'::bytea), (2, ''::bytea)) AS t (id, bytes);
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT llm_store.collect_atoms(1000000);
SELECT isnt_empty(
    $$SELECT FROM llm_store.atom WHERE content_hash = sha256('aqz')$$, 'what a tokenizer has stays');
DELETE FROM llm_store.token AS t USING llm_store.tokenizer AS k
WHERE t.tokenizer_id = k.id AND k.hash = sha256('tokenizer');
DELETE FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT cmp_ok(llm_store.collect_atoms(1000000), '>=', 1::bigint, 'what none has goes');
SELECT is_empty(
    $$SELECT FROM llm_store.atom WHERE content_hash = sha256('aqz')$$, 'and is gone');

SELECT * FROM finish();
ROLLBACK;
