BEGIN;
SELECT plan(3);

\ir three_tokens.psql

SELECT throws_ok(
    $$INSERT INTO llm_store.atom_part SELECT k.id, 2, 0, array_fill(0, '{256}'), '{0, 0, 0, 0}'
        FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer')$$,
    '23514', NULL, 'there are two parts');
INSERT INTO llm_store.atom_part
SELECT
    k.id,
    0 AS part,
    0 AS tokens,
    array_fill(0, '{256}') AS counts,
    '{0, 0, 0, 0}' AS steps
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
DELETE FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT is_empty(
    $$SELECT FROM llm_store.atom_part AS p
        WHERE NOT EXISTS (SELECT FROM llm_store.tokenizer AS k WHERE k.id = p.tokenizer_id)$$,
    'a part goes with its tokenizer');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('DELETE FROM llm_store.atom_part', '42501', NULL, 'a loader may not write parts');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
