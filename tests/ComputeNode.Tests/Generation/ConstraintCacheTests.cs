using System.Text.Json;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tokenization;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Tests.Generation;

public sealed class ConstraintCacheTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("constraint-test-");
    private readonly ConstraintCache _cache;

    public ConstraintCacheTests() => _cache = new ConstraintCache(Tokenizer.Load(TinyModel.Write(_folder.FullName)));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task ConcurrentRequests_ShareOneCompilation()
    {
        TokenMasks[] masks = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _cache.GetAsync(Regex("a{2,9}"), Cancel)));
        Assert.Single(masks.Distinct());
        Assert.NotSame(masks[0], await _cache.GetAsync(Regex("a{2,8}"), Cancel));
    }

    [Fact]
    public async Task WhoeverLeaves_DoesNotTakeItFromOthers()
    {
        using var leaves = new CancellationTokenSource();
        Task<TokenMasks> left = _cache.GetAsync(Costly, leaves.Token), stays = _cache.GetAsync(Costly, Cancel);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        Assert.Same(await stays, await _cache.GetAsync(Costly, Cancel));
    }

    [Fact]
    public async Task WhatEverybodyLeft_IsCompiledAnew()
    {
        using var leaves = new CancellationTokenSource();
        Task<TokenMasks>[] left = [.. Enumerable.Range(0, 3).Select(_ => _cache.GetAsync(Costly, leaves.Token))];
        await leaves.CancelAsync();
        foreach (Task<TokenMasks> one in left)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one);
        Assert.NotNull(await _cache.GetAsync(Costly, Cancel));
    }

    [Fact]
    public async Task ARefusal_NamesTheField_EveryTime()
    {
        for (int i = 0; i < 2; i++)
        {
            ApiError error = (await Assert.ThrowsAsync<ApiException>(() => _cache.GetAsync(Regex("a{9,2}"), Cancel))).Error;
            Assert.Equal((400, "structured_outputs"), (error.Status, error.Body.Error.Param));
        }
    }

    /// <summary>Takes long enough to leave it.</summary>
    private static OutputFormat Costly { get; } = new(
        new OutputConstraint(OutputConstraint.Form.JsonSchema, JsonSerializer.Serialize(new { type = "object", properties = Enumerable.Range(0, 2_500).ToDictionary(i => $"p{i}", _ => new { type = "integer" }) })),
        "response_format");

    private static OutputFormat Regex(string pattern) => new(new OutputConstraint(OutputConstraint.Form.Regex, pattern), "structured_outputs");
}
