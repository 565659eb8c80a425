BEGIN;
SELECT plan(9);

SELECT columns_are('llm_store', 'tile', ARRAY['hash', 'content', 'stored_at']);
SELECT table_privs_are('llm_store', 'tile', 'llm_user', ARRAY['SELECT']);
SELECT is(
    (
        SELECT attstorage::text FROM pg_catalog.pg_attribute
        WHERE attrelid = 'llm_store.tile'::regclass AND attname = 'content'
    ), 'e', 'weights are not compressed');
SELECT ok(
    (
        SELECT t.reloptions @> ARRAY['vacuum_truncate=false'] FROM pg_catalog.pg_class AS c
        INNER JOIN pg_catalog.pg_class AS t ON c.reltoastrelid = t.oid
        WHERE c.oid = 'llm_store.tile'::regclass
    ), 'vacuum does not cancel queries of a standby');
INSERT INTO llm_store.tile (content) VALUES ('abc');
SELECT ok(
    EXISTS (
        SELECT FROM llm_store.tile
        WHERE hash = '\xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    ), 'the hash is SHA-256, as FIPS 180 gives it for "abc"');
SELECT throws_ok(
    $$INSERT INTO llm_store.tile (hash, content) VALUES ('x', 'y')$$, '428C9', NULL, 'no hash can be given');
SELECT throws_ok($$INSERT INTO llm_store.tile (content) VALUES ('')$$, '23514', NULL, 'a tile is not empty');
SELECT throws_ok(
    $$INSERT INTO llm_store.tile (content) VALUES (decode(repeat('00', 1048577), 'hex'))$$, '23514', NULL,
    'a tile has at most 1 MiB');
SET LOCAL ROLE llm_loader;
SELECT throws_ok(
    $$INSERT INTO llm_store.tile (content, stored_at) VALUES ('x', 'infinity')$$, '42501', NULL,
    'a loader cannot keep a tile for ever');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
