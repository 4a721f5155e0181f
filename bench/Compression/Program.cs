using System.CommandLine;
using Eigengate.Bench.Compression;

var adapters = new Option<int>("--adapters") { Description = "k, adapters in the collection", DefaultValueFactory = _ => 500 };
var dimension = new Option<int>("--dimension") { Description = "d of the square module", DefaultValueFactory = _ => 4096 };
var rank = new Option<int>("--lora-rank") { Description = "l, rank of the adapters", DefaultValueFactory = _ => 16 };
var clusters = new Option<int>("--clusters") { Description = "C, clusters; also the planted families", DefaultValueFactory = _ => 25 };
var noise = new Option<double>("--noise") { Description = "Noise of the families against their signal, in amplitude", DefaultValueFactory = _ => 0.5 };
var quick = new Option<bool>("--no-reference") { Description = "Do not compute the converged objective" };

var fit = new Command("fit", "One module: fits of rank 16 and 64 against the converged objective") { adapters, dimension, rank, quick };
fit.SetAction(o => FitBenchmark.Fit(o.GetValue(adapters), o.GetValue(dimension), o.GetValue(rank), !o.GetValue(quick)));

var cluster = new Command("cluster", "One module: start and alternation of the assignment until it no longer changes") { adapters, dimension, rank, clusters, noise };
cluster.SetAction(o => FitBenchmark.Cluster(o.GetValue(adapters), o.GetValue(dimension), o.GetValue(rank), o.GetValue(clusters), o.GetValue(noise)));

return new RootCommand("Speed, memory and quality of compression on collections that it makes itself; G is one 4096³ float32 product") { fit, cluster }.Parse(args).Invoke();
