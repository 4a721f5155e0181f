namespace Eigengate.AdapterCache.Tests;

public sealed class EmbeddedGarnetTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Data_directory_keeps_adapters_across_restarts()
    {
        var directory = Directory.CreateTempSubdirectory("eigengate-durable-").FullName;
        try
        {
            var adapter = Samples.Adapter("kept");
            await using (var garnet = await EmbeddedGarnet.StartAsync(directory, Cancel))
            await using (var index = await AdapterIndex.ConnectAsync(garnet.Address, cancel: Cancel))
                await index.RegisterAsync(adapter, Samples.Weights(adapter), Cancel);

            await using (var garnet = await EmbeddedGarnet.StartAsync(directory, Cancel))
            await using (var index = await AdapterIndex.ConnectAsync(garnet.Address, cancel: Cancel))
            {
                Assert.Equal(adapter, await index.GetAsync("kept", Cancel));
                Assert.Equal(Samples.Weights(adapter), await index.GetWeightsAsync("kept", adapter.Version, Cancel));
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task More_weights_than_memory_holds_stay_readable()
    {
        await using var garnet = await EmbeddedGarnet.StartAsync(cancel: Cancel);
        await using var index = await AdapterIndex.ConnectAsync(garnet.Address, cancel: Cancel);
        const int count = 320;
        await index.RegisterManyAsync(
            Enumerable.Range(0, count).Select(i => (Samples.Adapter($"a{i}"), (ReadOnlyMemory<byte>)Blob(i))), Cancel);

        for (var i = 0; i < count; i += 13)
            Assert.Equal(AdapterRecord.DigestOf(Blob(i)), AdapterRecord.DigestOf(await index.GetWeightsAsync($"a{i}", "v1", Cancel)));

        static byte[] Blob(int seed)
        {
            var blob = new byte[AdapterIndex.ChunkBytes];
            Array.Fill(blob, (byte)seed);
            return blob;
        }
    }
}
