using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Responses;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Tokenization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Eigengate.ComputeNode.Tests.Responses;

public sealed class GenerationAnswerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("answer-test-");
    private readonly Tokenizer _tokenizer;

    public GenerationAnswerTests() => _tokenizer = Tokenizer.Load(TinyModel.Write(_folder.FullName));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task FailureAfterTheFirstEvent_BecomesAnErrorEvent_ThenDone()
    {
        string[] events = await StreamAsync(Failing);
        Assert.Equal(["data: [DONE]", ""], events[^2..]);
        JsonNode error = JsonNode.Parse(events[^3]["data: ".Length..])!["error"]!;
        Assert.Equal(("InternalServerError", 500), ((string)error["type"]!, (int)error["code"]!));
        Assert.DoesNotContain("secret", events[^3], StringComparison.Ordinal);
        Assert.Contains("\"text\":\"a\"", events[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task FinishReason_IsInTheChunkOfTheLastToken()
    {
        string[] events = await StreamAsync(Two);
        Assert.Equal(4, events.Length);
        Assert.Contains("\"text\":\"bc\",\"logprobs\":null,\"finish_reason\":\"length\"", events[1], StringComparison.Ordinal);
    }

    private async Task<string[]> StreamAsync(Func<GenerationRequest, CancellationToken, IAsyncEnumerable<GenerationEvent>> engine)
    {
        using JsonDocument body = JsonDocument.Parse("""{"prompt": "x", "max_tokens": 2, "stream": true}""");
        var model = new ServedModel(["tiny"], "", 0, _tokenizer, TinyModel.Vocabulary, TinyModel.Context, new GenerationDefaults());
        GenerationPlan plan = await GenerationPlan.CreateAsync(CompletionRequest.Read(body.RootElement, new RequestLimits()), model, 8);
        var answer = new GenerationAnswer(plan, _tokenizer, new CompletionFormat(plan, new AnswerHeader("1", "tiny", 0), _tokenizer), reportsCached: false);
        using var written = new MemoryStream();
        var context = new DefaultHttpContext { Response = { Body = written } };
        await using SequenceGroup group = await SequenceGroup.StartAsync(plan.ToSequences("1", arrived: 0, null, "caller"), engine, CancellationToken.None, Cancel);
        await answer.StreamAsync(group, context, NullLogger.Instance, Cancel);
        return Encoding.UTF8.GetString(written.ToArray()).Split("\n\n");
    }

    private static async IAsyncEnumerable<GenerationEvent> Failing(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
    {
        yield return new TokenGenerated('a', "a", null);
        await Task.Delay(5, cancel);
        throw new GenerationFailedException(request.Id, new InvalidOperationException("secret"));
    }

    private static async IAsyncEnumerable<GenerationEvent> Two(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancel)
    {
        yield return new TokenGenerated('a', "a", null);
        await Task.Delay(5, cancel);
        yield return new TokenGenerated('b', "b", new TokenLogprobs(new TokenLogprob('b', -1), 1, []));
        await Task.Delay(5, cancel);
        yield return new GenerationFinished("c", FinishReason.Length);
    }
}
