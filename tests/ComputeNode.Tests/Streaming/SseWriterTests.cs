using System.IO.Pipelines;
using System.Text;
using Eigengate.ComputeNode.Responses;
using Eigengate.ComputeNode.Streaming;

namespace Eigengate.ComputeNode.Tests.Streaming;

public sealed class SseWriterTests
{
    [Fact]
    public async Task EachEvent_IsOneDataLineAndABlankLine()
    {
        string written = await WriteAsync("a\nb\r\u2028\u0085é");
        string[] events = written.Split("\n\n");
        Assert.Equal(3, events.Length);
        Assert.StartsWith("data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":5,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"a\\nb\\r\\u2028\\u0085é\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null}]}", events[0], StringComparison.Ordinal);
        Assert.Equal("data: [DONE]", events[1]);
        Assert.Equal("", events[2]);
        Assert.DoesNotContain('\n', events[0]);
    }

    [Fact]
    public async Task EachEvent_IsFlushedWhenWritten()
    {
        var pipe = new Pipe();
        var writer = new SseWriter(pipe.Writer);
        await writer.WriteAsync(Chunk("a"), NodeJson.Wire.CompletionChunk, TestContext.Current.CancellationToken);
        ReadResult read = await pipe.Reader.ReadAsync(TestContext.Current.CancellationToken);
        Assert.EndsWith("\n\n", Encoding.UTF8.GetString(read.Buffer.FirstSpan), StringComparison.Ordinal);
    }

    private static async Task<string> WriteAsync(string text)
    {
        using var stream = new MemoryStream();
        var writer = new SseWriter(PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true)));
        await writer.WriteAsync(Chunk(text), NodeJson.Wire.CompletionChunk, TestContext.Current.CancellationToken);
        await writer.WriteDoneAsync(TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static CompletionChunk Chunk(string text) => new()
    {
        Id = "cmpl-1",
        Created = 5,
        Model = "m",
        Choices = [new CompletionChunkChoice { Index = 0, Text = text }],
    };
}
