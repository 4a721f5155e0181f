using System.Diagnostics;

namespace Eigengate.AdapterCache.Tests;

public sealed class IndexOutageTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Connect_to_nothing_fails_soon_and_names_the_address()
    {
        var watch = Stopwatch.StartNew();
        var failure = await Assert.ThrowsAsync<IndexUnavailableException>(() => AdapterIndex.ConnectAsync("127.0.0.1:1", cancel: Cancel));
        Assert.Contains("127.0.0.1:1", failure.Message, StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Connect_names_the_address_but_not_the_password()
    {
        var failure = await Assert.ThrowsAsync<IndexUnavailableException>(
            () => AdapterIndex.ConnectAsync("127.0.0.1:1,password=secret", cancel: Cancel));
        Assert.DoesNotContain("secret", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{a}")]
    public async Task Key_prefix_that_would_break_the_hash_tag_is_refused(string prefix) =>
        await Assert.ThrowsAsync<ArgumentException>(() => AdapterIndex.ConnectAsync("127.0.0.1:1", prefix, Cancel));

    [Fact]
    public async Task Server_restart_keeps_the_snapshot_then_follows_the_new_data()
    {
        await using var server = new RedisProcess();
        await server.InitializeAsync();
        Assert.SkipWhen(server.SkipReason is not null, server.SkipReason ?? "");
        await using var index = await AdapterIndex.ConnectAsync(server.Address, cancel: Cancel);
        await index.RegisterAsync(Samples.Adapter("old"), Samples.Weights("old"), Cancel);
        await using var lease = await NodeLease.StartAsync(index, Samples.Node("n1", 1), TimeSpan.FromSeconds(1), cancel: Cancel);
        await using var follower = await IndexFollower.StartAsync(index, cancel: Cancel);

        await server.KillAsync();
        await Task.Delay(600, Cancel);
        Assert.True(follower.Current.TryGetAdapter("old", out _));

        await server.StartAsync();
        await index.RegisterAsync(Samples.Adapter("new"), Samples.Weights("new"), Cancel);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(10));
        var seen = await follower.WaitForAsync(
            snapshot => snapshot.TryGetAdapter("new", out _) && snapshot.Nodes.Count == 1, patience.Token);
        Assert.False(seen.TryGetAdapter("old", out _));
    }
}
