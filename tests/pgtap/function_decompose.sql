BEGIN;
SELECT plan(4);

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
-- A tensor of one block of Q8_0: scale 1, then the codes 0 to 31.
INSERT INTO llm_store.tile (content)
SELECT '\x003c'::bytea || string_agg(set_byte('\x00'::bytea, 0, i), ''::bytea ORDER BY i)
FROM generate_series(0, 31) AS i;
INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('tensor'), 'Q8_0', '{1,32}', 1, 34);
INSERT INTO llm_store.tensor_tile (tensor_hash, ordinal, tile_hash)
SELECT
    sha256('tensor') AS tensor_hash,
    0 AS ordinal,
    t.hash
FROM llm_store.tile AS t
WHERE substring(t.content FROM 1 FOR 6) = '\x003c00010203'::bytea;
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')]);

SELECT results_eq(
    $$SELECT part, kind, ordinal FROM llm.decompose(sha256('aqz'))$$,
    $$VALUES (sha256('a'), 'byte', 0::bigint), (sha256('q'), 'byte', 1), (sha256('z'), 'byte', 2)$$,
    'a token is its bytes in order');
SELECT results_eq(
    $$SELECT part, kind, ordinal FROM llm.decompose(sha256('tokenizer'))$$,
    $$VALUES (sha256('a'), 'byte', 0::bigint), (sha256('aqz'), 'token', 1)$$,
    'a tokenizer is its tokens by id');
SELECT results_eq(
    $$SELECT kind, count(*), sum(occurrences) FROM llm.decompose(sha256('tensor')) GROUP BY kind ORDER BY kind$$,
    $$VALUES ('code', 32::bigint, 32::numeric), ('tile', 1, 1)$$,
    'a tensor is its tiles, and the codes in them');
SELECT is_empty($$SELECT FROM llm.decompose(sha256('a'))$$, 'a byte is whole');

SELECT * FROM finish();
ROLLBACK;
