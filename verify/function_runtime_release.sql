-- Verify hartonomous:function_runtime_release on pg

BEGIN;

-- The one place that has the digest of each module: a module that differs is named.
DO $verify$
DECLARE
    digests text;
    wrong text;
BEGIN
    WITH
    expected (module, digest) AS (
        VALUES
        ('atoms__atom_rows', '56fda290b585dcd21a4dda3bbb6c00146c5ee74e7e41fc2febae7b36aba3f80f'),
        ('atoms__atom_runs', '47e59b0ddfbe9153c9208db276277b738fdc09e686b52381372ef67e6e4635bf'),
        ('atoms__atoms', '36550c60a84d9ac1b16e4f97fa0a846a994852b095c41b39dbe849f5c59950ef'),
        ('atoms__geometry', '3fa7d4a040c883fb70ec29f73bae24ae313316a15eed79c34a9d9d6d19fd6df2'),
        ('atoms__hilbert', '91b695116e5ba2bf3179b1a6f9c12d1538406d42917afd21f9efc86c4f97c230'),
        ('atoms__hilbert_plane', 'd092e0489da9ef53b5fb23937a06b75e8b2e5c283790cfdad6d9476016521626'),
        ('atoms__projection', '7f314f629c024053477db2b75dde7f26e344c0a0de0658c7d37805de2049889a'),
        ('atoms__sql_literals', '56e81753792a8621db85a8d71292822a6939cb7f76e9c90e099d948fb8f6e97a'),
        ('atoms__token_map', '81a3e00dfe4a024f49bcec0d07117d0457e7f0f84fe83033ae61f10ec5cf583e'),
        ('engine__composed', '76a1454f64dc1849f040e2f955da80a73af7bdacbf554dcd418241fd1b5029cd'),
        ('engine__decoder', '668eb943f5a0ea062ceee052d5878a63d8528930be7ed240f22541399db4c2ec'),
        ('engine__decoder_pass', 'af47bdc40ef8e3b437c51f11de4af3102aa4638c8fc73947b2c6a9657f64b01b'),
        ('engine__encoder', '2873d82708add2906f93c7caffee979b715dd0a3fe759b29fce402c69bdfb16e'),
        ('engine__encoder_pass', '4f368ef5caee5a595f19f6bc095e3713e7267c4b06ec710e1198e24576c4a95c'),
        ('engine__kv_cache', 'eb0174d3f56638a19c1682c2dd3eedffaf81f98ce787ccc0ee5b172147c9179c'),
        ('engine__operator_entries', '5e381e897ceb60dc6cd00d724508f8222c2169b6237e07a655cd802d6d9e9706'),
        ('engine__steps', 'f82a79eff06d81a674e42283c504361113668d8e5de6f1ba6ff340bebad32499'),
        ('engine__warm_up', '56b573c4cb33d70e3463759c900fc27a82e8b4bea4a7d1eb9824fa604989624f'),
        ('generate__candidates', 'c8f8cf3294fcb5851444045308ad76faeb61359188e1904fc2180ae69ceab1f3'),
        ('generate__interfaces', '1b85e7aa56466176e7fd9b5abe58fa389f2dac3f493097747e9f121b47f1d8f8'),
        ('generate__prefix_cache', '6fa668416a384c40fb88cc1542403fc179d99ba451b85c93bc7fc5a6786fa2d3'),
        ('generate__prompt_lookup', 'f341b0a86445325dfe8b80dbd244744b7775bac413898f1745f41b0d5493c9f1'),
        ('generate__sampling', 'c159e7fe042b03d333af23730e99e19c6a7c7889719924c37483f1f188f3792e'),
        ('generate__scheduler', '0fc77ad765d82b633e2fa931a751ba741a9e50f0d0c023bab8df6ab8f01d5034'),
        ('kernels__attention', 'ae7b052073a64eaf6703e42c1611be959032637244fd20f2ab839846f72db699'),
        ('kernels__blocks', 'c3f2c33d3c6b0c07db711d9517250e6a83622ccf3d988e9879f9a3fe321e1e1e'),
        ('kernels__candidates', '1ec67d1cd64f1b4db7c68034af7c0a38506cab974ffb03c1a18d7708dadb931d'),
        ('kernels__cosine', 'a1235860524c262d30db3beb5f2e5c5c698a55731fc386a3c5b585006dc59377'),
        ('kernels__dispatch', '1d284716aba0ccd944d1ab81d1ea10d73d7fcdb2a9ae167b2c5a47d4f3eb8c92'),
        ('kernels__elementwise', '0afddb84c9a3be1b1c249c09aede7300d7fa5eb096a7be7d227ff86353166cfa'),
        ('kernels__floats', '406cce5dabfe3a2a3221bbe7f0c5e0a00ae6343c5ff375308b4f3ba588502e5b'),
        ('kernels__groups', 'b9dffcf9a0435f5e27a3ea43623467fa8a0f6fbac19c711d5c7af9828a73397d'),
        ('kernels__kv_pages', '88d50852b2e8f239aac00f02b1bd6eac8b409d23cb500b4060beeec75c5b722a'),
        ('kernels__layouts__bf16', '72424707ca9b71ec3c4ab62a1068d96fa9c7813efd6f77d14ee192cc783cce29'),
        ('kernels__layouts__f16', 'fdcc383aebd2db5c16be8c0de8fb85acf562b8dc8aedd5a2de0a5b78737f3f6e'),
        ('kernels__layouts__f32', 'f1cfbeb0de6ef5099fd8caccc02691cb527f0799a7c9333ea2773b31921c92cc'),
        ('kernels__layouts__q4', 'dc4d63b184f20d87af3c043eece2ae2731b3fc4d793065f7e698967108300783'),
        ('kernels__layouts__q5', 'b453be6b1e982c1e3892b1ceeb5a3ac96b3c5115de23ea2a6b37817ba22d8275'),
        ('kernels__layouts__q8', '10c608258d805b775e34ed35729fbb5b9111d5ed7f88a9a861608b95afa11c25'),
        ('kernels__matrix', '4edfb730524304e62d77ae2d54354b0b70f2c8b87bc0804d0a8aefffc6baadae'),
        ('kernels__packing', '71c53ea7503834ea259316aec7807bea6dc7458c9e7edc4d250c7dd4e3b270a4'),
        ('kernels__similarity', '243ec033178c17b0e31e03350fa9440779094c9e1baca37ec144e786bbd0fcea'),
        ('model__decoder', '34229ffee6af4f0e1fdba9228991394d0adb81bcfac74a3bf8bf38e9e68ef0fd'),
        ('model__encoder', '40de5f920609b2a0f013143a1f2e516c2f6af5927ea2ad41666743cca3eb55c0'),
        ('model__encodings', '87e9fd13acfc633405fd93befb6aecec83663b90ba79f4040fd0a17985e1ad82'),
        ('model__finite', '4e5444ddb806e939c6e9816a9afd93c01bcfc04751474118be92469cc84648fa'),
        ('model__long_texts', 'cc301a58be527b51a3971ff764e0eeac42d6e269790f3ec8bcc385ed67e01125'),
        ('model__rope_rows', '2edc4e305a5df64df63433899266b7a22a3aac8506de8128367d0c868c293348'),
        ('model__tokenizer', 'e2364ef16c94c8ddad10e21bcc6c9ef147d182ea021a4ac017830650aa01abe4'),
        ('reference__composed', '49eb3e42e0da8b7517596cf2019af16868d165601f3f1ecede2dbde6b656c016'),
        ('reference__decoder', '1e1767fa66c6eb3fa27f651588bce3786fa14b1713844d5864ddbb45e921789d'),
        ('reference__encoder', '6d8bdc1392ce36005abb17345368f72f56c58bd8fe543637c65eb7236032295b'),
        ('reference__operators', '13552bc8053a7c7e8cd614be1f2c298dadc2e725bcafa74cd43399d377eaab22'),
        ('server__arguments', '4911ab75f3996803398b3093fe3aaa583c9ba22ecd1c96acc8d1dd61bd2b6ec6'),
        ('server__background', '45a0fd460292e50ed0d477a598dd2ea7118c912a5bbfd76b202a2d5f382c3a45'),
        ('server__ceilings', '46c3cbf6792063fc35afa89b10f1c7f61a2b60eef9089027923c0faef418c221'),
        ('server__database', 'f5b8bf2c1fae712e318a2d84cb567f19399533da54dfeea49abb11cecf049534'),
        ('server__errors', '2f526789e5ac6b394af884859bc293df6b4e5ea09a6223f23426bf019cd84d8c'),
        ('server__settings', '35616ec6861ac939684e6b247171adcaf968f2e1ccc3322bff0b239ee945a3fc'),
        ('server__statement_clock', 'd8a6a78fbdeaacf562d5eb3619cbd1a286eeb188f0c58230a3d94d1e405a2ecf'),
        ('session__admission', '9ab4e0cb212739e39b451fdf78a748f5846ab5c47fe9590847d42d7f6f761657'),
        ('session__engines', '1a1ae258df30e178c3f89bb09ce291a8e3f4db4720d81678f0438864c1a49365'),
        ('session__kv_handles', '8a7c9bee8c013a08f30324a2e1b4683196ea677f712ec1ac492a89831808a295'),
        ('session__model', '9877d4a2ea3d882d91ef4b43d7e876daf79afa9435eac960a7d5706e3596040b'),
        ('session__models', '13d53c0a476366b5729012b353532062759e85123a9c34baf37bf140e641a8b3'),
        ('session__prefixes', '8e35069086b88839019d22babe34efadd0b73e994080b6bc8e5293b5f10d2ff1'),
        ('session__search_matrices', '3de3bf2de52a1c469a32914a45719ffe9d47c96bded783eb378795074d299812'),
        ('simd__frames', '7738bc3ef2730578033d2cb000b8f1ac3dccef09ba5247a0095a8506293ed657'),
        ('simd__kernels', '1597de9558b2035975f0af1483c7360cedf31b71bedd48ae83d928878bc364a5'),
        ('simd__memory', 'f5d2003820fa6f00cbcbd09be45f1fb0ffde42e0063f7a76e0c10b99c366db85'),
        ('simd__processors', 'b54940471201626320ea4271805c2e81d0d6972d98f0a04393d6d3d2c175d73b'),
        ('simd__registers', 'b444985301382a9f029419e457a1fcfeaf61d64186b3301649237dba913c504c'),
        ('simd__threads', '325afe60c462a5a0c0e779d94516a5726e9ee6584bcea18d67d16072f612f828'),
        ('sql__batches', 'd0472761c7676b711a279e623d0a83dd4d20f0e028bf95a2320c8a0b6e4bada7'),
        ('sql__boundary', '1c910224aff3e513a762552b409b161f4a0e7ea97c61bf83326aeb0c87628ceb'),
        ('sql__chunking', '63d9fc199b876cf84603700a5fd5f0d10b184e5a98b09d26f46e6dfb944e21e6'),
        ('sql__diff', 'af7b0b1a58643d80ec28dc5a718ed4d55f94c151d4b07069a2a7ad582dba352a'),
        ('sql__editing', '8f9a2724e27d88786cb8afcc83c2da7cf57e6335e172b9d916142019487b2d76'),
        ('sql__embeddings', 'b1d795f2cd112fc1824c79c5e53b2575d14db79a982efedc950c437e0036a567'),
        ('sql__generation', '7ba11759645ac1bb88d9a7cfe12531c70c558d2adae76402b6b67bda184584ae'),
        ('sql__ingestion', 'c4cf39c08e8631fe4a165b2d48dbddec7af654540c148479d114db3aa661dfce'),
        ('sql__merge', '033e86a26654d7f9e9cf360c97df1132578909391344d14b641148949f271c57'),
        ('sql__operators', '2b83d70580f56b8f1a6f558f1e4e25addf97a459bba7bb549de4b461cb98ffd7'),
        ('sql__packed_cache', '28cb4ad0c38c1abf74a6a5873804c6121cdb72688499573b4585fd943486b674'),
        ('sql__samplers', 'e093b49321f3e3ed7dbc383f4aaeeeebabbb70d2eff4d5a07bdcf469d3dd3104'),
        ('sql__scoring', '2838cf1ca2115657deb055946812539951a537390d82fdf8f1f8e575d3d9c848'),
        ('sql__search', 'afbab2dfaf357f03783bdaf36e4126c41ae03a05141f2be4cc3aeb11af39a0e4'),
        ('sql__session', 'ff2fcabace7f68005d5ee2b1de3c6d755ec3785c8886cb58539e7dd9c3915b9b'),
        ('sql__similarity', 'f622ae0eaa6a641e68ce20781b4ce0bcefb3f3fd9a34cf0da58ef8b7097e1904'),
        ('sql__token_map', '92ddaf8b2fb475de9616c48308c0362084b9f9d4a6768dde34771639a939f8d0'),
        ('sql__weight_rows', '5a7cffa042da1a447cf52ce05b545a12ec69422f5b4346098960b4a1f82a0287'),
        ('store__embedding_columns', 'bc3d548bd2f5d58d0dc8a01fa5e92ae4184aed18c27c890cbfd620bbeb8b1f10'),
        ('store__manifest', '487b4e1f01e2a06b08947a01e1f834c7ac058f36e6474da1123270be691dd78d'),
        ('store__merge_methods', '0c6770401531d1abac4ef6f4025f7f8d62f4b0832fdf397362f24e12b569b370'),
        ('store__models', 'a68eca9d7f8694684a79112abd62d93f956beeca0bce2cdb2089806e9e92362d'),
        ('store__tensor_writer', '34137fe432d03aa01582eb5df1a706cfd4b030cebd1b027b7e9ef9714fa2194f'),
        ('store__tokens', '010c24cb2ff7583c4703df3b0883fc79bbd15700da5424399a0108911c1e2087'),
        ('weights__address_space', '677f91a942e644353e5258b88d08c6d4d89223fa36d67826528240d3eaa5a656'),
        ('weights__packed_files', '01ee662f62ad66c94072675a6665acd3fcb837ee8d4bbab7525bafe17a423707'),
        ('weights__packed_model', '0d1fb6d8064c66ca02be4f019df9a824069d0ee39c8bfa88906b69ba7e5e37a6'),
        ('weights__shared', 'a257fb040a97abf5cabe534cb8d45e9976e4ea05004c571695ef0ccf5256ca7b'),
        ('weights__tensor_groups', '35a265940e0f4130b034ddd8714f66f775d59b63c4c8bf255717c519b08bc862'),
        ('weights__tensors', '27cccb7243639f02e52aef7d0da7e911b2c206530249da4272271548b328283c')
    ),

    deployed AS (
        SELECT p.proname::text AS module, encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') AS digest
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = 'llm_runtime'::regnamespace
            AND l.lanname = 'plpython3u' AND p.prorettype = 'void'::regtype AND p.pronargs = 0
    )

    SELECT
        string_agg(deployed.digest || '  ' || module || E'\n', '' ORDER BY module COLLATE "C"),
        string_agg(module, ', ' ORDER BY module) FILTER (WHERE deployed.digest IS DISTINCT FROM expected.digest)
    INTO digests, wrong
    FROM expected FULL JOIN deployed USING (module);
    ASSERT wrong IS NULL, 'modules differ from this release: ' || wrong;
    ASSERT llm_runtime.release() = encode(sha256(convert_to(digests, 'UTF8')), 'hex'), 'another release is deployed';
    ASSERT has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may not call it';
END
$verify$;

ROLLBACK;
