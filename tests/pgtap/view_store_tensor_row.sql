BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'a model is loaded');
SELECT results_eq(
    $$SELECT row_number, content FROM llm_store.tensor_row
    WHERE model = 'tiny' AND tensor = 'token_embd.weight' ORDER BY row_number$$,
    $$SELECT n, pg_temp.ones(2) FROM generate_series(0, 3) AS n$$,
    'a matrix has its rows');
SELECT results_eq(
    $$SELECT row_number, columns, content FROM llm_store.tensor_row
    WHERE model = 'tiny' AND tensor = 'output_norm.weight'$$,
    $$VALUES (0, 2::bigint, pg_temp.ones(2))$$,
    'a vector is one row');

-- A row of 300,000 numbers spans two tiles.
INSERT INTO llm_store.tile (content)
VALUES
(decode(repeat('00', 1048576), 'hex')),
(decode(repeat('11', 151424), 'hex')),
(decode(repeat('22', 151424), 'hex'));
INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('wide'), 'F32', '{2,300000}', 0, 2400000);
INSERT INTO llm_store.tensor_tile (tensor_hash, ordinal, tile_hash)
SELECT
    sha256('wide') AS tensor_hash,
    p.ordinal,
    sha256(decode(repeat(p.byte, p.bytes), 'hex')) AS tile_hash
FROM (VALUES (0, '00', 1048576), (1, '11', 151424), (2, '00', 1048576), (3, '22', 151424)) AS p (ordinal, byte, bytes);
INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
SELECT
    m.id AS model_id,
    99 AS ordinal,
    'wide' AS name,
    sha256('wide') AS tensor_hash
FROM llm_store.model AS m WHERE m.name = 'tiny';
SELECT results_eq(
    $$SELECT row_number, octet_length(content), substring(content FROM 1048576 FOR 2) FROM llm_store.tensor_row
    WHERE model = 'tiny' AND tensor = 'wide' ORDER BY row_number$$,
    $$VALUES (0, 1200000, '\x0011'::bytea), (1, 1200000, '\x0022')$$,
    'a row that spans tiles is whole');
SELECT table_privs_are('llm_store', 'tensor_row', 'llm_user', ARRAY['SELECT']);

SELECT * FROM finish();
ROLLBACK;
