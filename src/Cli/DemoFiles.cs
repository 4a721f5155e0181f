namespace Eigengate.Cli;

/// <summary>The demo that the repository and the container image carry.</summary>
internal sealed record DemoFiles(string Root)
{
    public string Base => Path.Combine(Root, "base");

    public string Bundle => Path.Combine(Root, "bundle");

    public string Adapters => Path.Combine(Root, "adapters");

    public string Tasks => Path.Combine(Root, "tasks.json");

    /// <summary>The folder `demo` in the working directory or above the program, or null.</summary>
    public static DemoFiles? Find()
    {
        foreach (string start in (string[])[Environment.CurrentDirectory, AppContext.BaseDirectory])
        {
            for (DirectoryInfo? folder = new(start); folder is not null; folder = folder.Parent)
            {
                var demo = new DemoFiles(Path.Combine(folder.FullName, "demo"));
                if (File.Exists(Path.Combine(demo.Base, "config.json")))
                    return demo;
            }
        }

        return null;
    }
}
