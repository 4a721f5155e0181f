using Eigengate.ComputeNode.Responses;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Tokenization;

namespace Eigengate.ComputeNode.Tests.Responses;

public sealed class CompletionLogprobsBuilderTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("logprobs-test-");
    private readonly Tokenizer _tokenizer;

    public CompletionLogprobsBuilderTests() => _tokenizer = Tokenizer.Load(TinyModel.Write(_folder.FullName));

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void TokensOfOneText_KeepTheLargerValue_SoThatChosenIsStillTheMaximum()
    {
        // 0x80 to 0x82 are fragments of characters: all of them show as U+FFFD.
        var builder = new CompletionLogprobsBuilder(_tokenizer, top: 3, asTokenIds: false);
        builder.Add(0x80, Scored(0x80, -0.5f, (0x80, -0.5f), (0x81, -1f), ('a', -2f)));
        builder.Add(0x82, Scored(0x82, -3f, (0x81, -0.25f), ('a', -2f), (0x82, -3f)));
        CompletionLogprobs taken = builder.Take();
        Assert.Equal([KeyValuePair.Create("\uFFFD", -0.5f), KeyValuePair.Create("a", -2f)], taken.TopLogprobs[0]!);
        Assert.Equal([KeyValuePair.Create("\uFFFD", -0.25f), KeyValuePair.Create("a", -2f)], taken.TopLogprobs[1]!);
    }

    [Fact]
    public void ChosenOutsideTheTop_ComesFirst_AsAnExtraKey()
    {
        var builder = new CompletionLogprobsBuilder(_tokenizer, top: 2, asTokenIds: true);
        builder.Add('c', Scored('c', -5f, ('a', -1f), ('b', -2f), ('d', -3f)));
        Assert.Equal(["token_id:99", "token_id:97", "token_id:98"], builder.Take().TopLogprobs[0]!.Keys);
    }

    [Fact]
    public void Offsets_GoOnOverSeveralTakes()
    {
        var builder = new CompletionLogprobsBuilder(_tokenizer, top: 0, asTokenIds: false);
        builder.Add('a', null);
        builder.Add(TinyModel.End, Scored(TinyModel.End, -1f));
        Assert.Equal([0, 1], builder.Take().TextOffset);
        builder.Add('b', Scored('b', -1f));
        CompletionLogprobs second = builder.Take();
        Assert.Equal([6], second.TextOffset);
        Assert.Equal(["b"], second.TopLogprobs[0]!.Keys);
    }

    private static TokenLogprobs Scored(int id, float logprob, params (int Id, float Logprob)[] top) =>
        new(new TokenLogprob(id, logprob), 1, [.. top.Select(t => new TokenLogprob(t.Id, t.Logprob))]);
}
