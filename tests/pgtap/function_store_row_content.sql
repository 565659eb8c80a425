BEGIN;
SELECT plan(4);

INSERT INTO llm_store.tile (content) VALUES ('\x00010203'), ('\x0405');
INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('tensor'), 'F16', '{3,1}', 2, 6);
INSERT INTO llm_store.tensor_tile (tensor_hash, ordinal, tile_hash)
VALUES (sha256('tensor'), 0, sha256('\x00010203')), (sha256('tensor'), 1, sha256('\x0405'));
SELECT is(llm_store.row_content(sha256('tensor'), 1, 2, 2), '\x0203'::bytea, 'a row is a slice of its tile');
SELECT is(llm_store.row_content(sha256('tensor'), 2, 2, 2), '\x0405'::bytea, 'also of the last one');
SELECT is(llm_store.row_content(sha256('tensor'), 4, 2, 2), NULL, 'what is beyond it is not there');
SELECT is(
    llm_store.row_content(sha256('tensor'), 0, 0, 1048578), '\x000102030405'::bytea,
    'a row that is longer than a tile is all of its tiles');

SELECT * FROM finish();
ROLLBACK;
