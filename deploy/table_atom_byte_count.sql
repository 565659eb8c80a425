-- Deploy hartonomous:table_atom_byte_count to pg
-- requires: table_tokenizer, extension_postgis

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.atom_byte_count (
    tokenizer_id integer NOT NULL,
    counts bigint[] NOT NULL,
    geom public.GEOMETRY (POINTZM, 3857) NOT NULL,
    CONSTRAINT atom_byte_count_pkey PRIMARY KEY (tokenizer_id),
    CONSTRAINT atom_byte_count_tokenizer_fkey FOREIGN KEY (tokenizer_id)
    REFERENCES llm_store.tokenizer (id) ON DELETE CASCADE,
    CONSTRAINT atom_byte_count_bytes CHECK (cardinality(counts) = 256)
);

ALTER TABLE llm_store.atom_byte_count OWNER TO llm_owner;
GRANT SELECT ON llm_store.atom_byte_count TO llm_user;

COMMENT ON TABLE llm_store.atom_byte_count IS
'How often each byte occurs in the tokens of a tokenizer, and the tokenizer''s point. Immutable like the tokenizer.';
COMMENT ON COLUMN llm_store.atom_byte_count.tokenizer_id IS 'The tokenizer.';
COMMENT ON COLUMN llm_store.atom_byte_count.counts IS 'Occurrences of byte 0 to byte 255.';
COMMENT ON COLUMN llm_store.atom_byte_count.geom IS 'The mean of the points of its tokens, in the middle of a step.';

COMMIT;
