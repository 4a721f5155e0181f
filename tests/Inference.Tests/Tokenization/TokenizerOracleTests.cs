namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Exact ids and texts of tokenizer.json files against the library that defines the format.</summary>
public class TokenizerOracleTests
{
    [Theory]
    [InlineData("tokenizer-llama2", "<s>", "</s>", "<unk>")]
    [InlineData("tokenizer-llama3", "<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>")]
    [InlineData("tokenizer-qwen3", "<|im_start|>", "<|endoftext|>", "<think>")]
    public Task Real_vocabularies_give_the_reference_ids(string package, params string[] special) =>
        TokenizerOracle.EqualsReference(RustTokenizers.Vocabulary(package), RandomText.Unicode(special), 1500);

    [Fact]
    public Task Stories260k_gives_the_reference_ids() =>
        TokenizerOracle.EqualsReference(SharedData.Path("models/stories260k"), RandomText.Unicode("<s>", "</s>"), 1500);
}
