BEGIN;
SELECT plan(5);

\ir three_tokens.psql
\ir one_tensor.psql
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')], '{w}');
INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('other'), 'Q8_0', '{1,32}', 1, 34);
INSERT INTO llm_store.atom_code_count (tensor_hash, codes, counts, code_bits)
VALUES (sha256('other'), '{255}', '{32}', 1::bit(256));
CREATE FUNCTION pg_temp.codes() RETURNS text LANGUAGE sql RETURN (
    SELECT string_agg(i::text, ' ' ORDER BY i)
    FROM llm_store.model AS m
    INNER JOIN llm_store.model_code AS c ON m.id = c.model_id
    CROSS JOIN generate_series(0, 255) AS i
    WHERE m.name = 'aqz' AND c.type = 'Q8_0' AND get_bit(c.code_bits, i) = 1 AND i > 28);

\ir a_model_of_them.psql
SELECT m.id FROM llm_store.model AS m WHERE m.name = 'aqz' \gset
SELECT is(pg_temp.codes(), '29 30 31', 'a model has the codes of its tensor');
INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash) VALUES (:id, 1, 'other', sha256('other'));
SELECT is(pg_temp.codes(), '29 30 31', 'an insert alone writes no codes: a restore brings them');
SELECT llm_store.atomise(:id) \gset
SELECT is(pg_temp.codes(), '29 30 31 255', 'what ends every making of a model does');
DELETE FROM llm_store.model_tensor WHERE model_id = :id AND name = 'tensor';
SELECT is(pg_temp.codes(), '255', 'and not of one that it lost');
UPDATE llm_store.model_tensor SET tensor_hash = sha256('tensor') WHERE model_id = :id;
SELECT is(pg_temp.codes(), '29 30 31', 'after an edit those of the new one');

SELECT * FROM finish();
ROLLBACK;
