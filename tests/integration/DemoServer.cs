using System.Text.Json;
using Eigengate.Integration.Tests;

[assembly: AssemblyFixture(typeof(DemoServer))]

namespace Eigengate.Integration.Tests;

/// <summary>`eigengate serve` with the demo, shared by all tests of this assembly.</summary>
public sealed class DemoServer : IAsyncLifetime
{
    private EigengateProcess? _process;

    public Uri Gateway { get; private set; } = null!;

    public Uri Node { get; private set; } = null!;

    public HttpClient Http { get; private set; } = null!;

    public DemoTasks Tasks { get; } = DemoTasks.Load();

    public string BaseModel { get; } = "base";

    public async ValueTask InitializeAsync()
    {
        _process = EigengateProcess.Start("serve", "--urls", "http://127.0.0.1:0");
        Node = new Uri(await _process.ValueOfAsync("node", default));
        Gateway = new Uri(await _process.ValueOfAsync("gateway", default));
        Http = new HttpClient { BaseAddress = Gateway };
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (_process is not null)
            await _process.DisposeAsync();
    }
}

/// <summary>The held-out questions and answers that the repository carries beside the demo's adapters.</summary>
public sealed record DemoTasks(IReadOnlyList<DemoTask> Tasks)
{
    public static DemoTasks Load()
    {
        using FileStream file = File.OpenRead(Path.Combine(Repository.Demo, "tasks.json"));
        return new DemoTasks(JsonSerializer.Deserialize<DemoTask[]>(file, JsonSerializerOptions.Web)!);
    }
}

public sealed record DemoTask(string Id, IReadOnlyList<DemoItem> Items);

public sealed record DemoItem(string Prompt, string Answer);
