BEGIN;
SELECT plan(4);

SELECT has_index('llm_store', 'token_position', 'token_position_geom_idx', ARRAY['geom'], 'places are searched');
INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('tensor'), 'F32', '{1,2}', 1, 8);
INSERT INTO llm_store.projection (tensor_hash, explained, units) VALUES (sha256('tensor'), '{0.5, 0.1, 0, 0}', 1);
INSERT INTO llm_store.token_position (tensor_hash, token_id, h_xy, h_yz, h_zm, geom)
VALUES (sha256('tensor'), 0, 1, 2, 3, 'SRID=3857;POINT ZM (1 2 3 4)');
SELECT throws_ok(
    $$UPDATE llm_store.token_position SET geom = 'SRID=3857;POINT Z (1 2 3)'$$, '22023', NULL, 'a place has m too');
DELETE FROM llm_store.projection WHERE tensor_hash = sha256('tensor');
SELECT is_empty(
    $$SELECT FROM llm_store.token_position WHERE tensor_hash = sha256('tensor')$$, 'places go with their map');
SELECT table_privs_are('llm_store', 'token_position', 'llm_loader', ARRAY['SELECT'], 'a loader writes none');

SELECT * FROM finish();
ROLLBACK;
